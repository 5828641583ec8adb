"""A conformance kit: cases that any server of a wire should pass, and a scorecard.

``python -m toolbox.conformance URL --token TOKEN --dialect daytona``. The cases are tables in
:mod:`toolbox.conformance.dialects`; they leave nothing behind on a server that passes them.
"""

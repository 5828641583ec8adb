"""What runs in processes of its own, so that it holds nobody up.

A helper is to start fast: these modules import one another and the standard library, nothing else
(see :mod:`toolbox_files.helper_process`).
"""

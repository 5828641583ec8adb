"""The helper programs, which do long work in their own processes, and the modules they share.

A helper must start fast: its modules import each other, the standard library and modules of the
core that do the same (see :mod:`toolbox_files.helpers.command`, which the service imports).
"""

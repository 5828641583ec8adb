"""Patterns for names and paths: globs, and the rules of ``.gitignore`` files.

Helper programs of groups import these modules alone, so they stay quick to import.
"""

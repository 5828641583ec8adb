"""Searching text for regular expressions of clients, by a helper program.

A pattern may take forever (catastrophic backtracking) or gigabytes, to compile and to search;
Python's ``re`` has no limit for either and holds the interpreter lock.
"""

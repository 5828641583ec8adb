"""Launchers: the ways to start, signal and end a program."""

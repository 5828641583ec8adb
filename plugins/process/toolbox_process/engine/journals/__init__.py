"""Journals of the output of sessions' commands, on disk, so that it outlives the worker."""

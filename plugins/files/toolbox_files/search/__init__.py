"""Searching names and contents."""

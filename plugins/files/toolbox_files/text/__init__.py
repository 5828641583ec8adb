"""Changing text in files."""

"""Listing directories and reading files."""

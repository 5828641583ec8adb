"""Processes of this machine: their trees, limits and marks."""

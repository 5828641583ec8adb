"""Receiving and writing files."""

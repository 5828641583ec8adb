"""Recordings of the screen."""

"""Atomic writes of whole files: either the old content or the new survives."""

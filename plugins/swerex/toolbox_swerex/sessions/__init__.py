"""Shells that keep their state, on terminals of the group ``process``."""

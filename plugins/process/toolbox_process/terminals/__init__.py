"""Terminals: pseudo-terminals over WebSockets."""

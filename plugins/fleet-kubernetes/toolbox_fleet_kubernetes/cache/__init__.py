"""Sandboxes and their objects, followed by watches."""

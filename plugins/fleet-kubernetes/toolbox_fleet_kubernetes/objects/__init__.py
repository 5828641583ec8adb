"""Sandboxes as objects of a cluster, and back. Without I/O."""

"""Whole directory trees: copied, packed, published and removed, whatever is in them.

Sandboxes fill these trees, so nothing in them is trusted: no link is followed, no other file system
entered, and no depth or name is too much.
"""

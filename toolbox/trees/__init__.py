"""Whole directory trees: copied, published and removed, whatever is in them.

Sandboxes fill these trees, so nothing in them is trusted: no link is followed, no other file system
entered, and no depth or name is too much. Helper programs import these modules without the rest of
the core, so they need nothing but the standard library.
"""

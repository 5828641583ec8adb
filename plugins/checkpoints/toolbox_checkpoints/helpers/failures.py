"""The failures of the helper that the service distinguishes."""

from __future__ import annotations

from toolbox.trees.errors import TreeError

CANCELLED = 3
"""The exit status of a helper whose result nobody wants any more. Python's own are 1 and 2."""


class NoRoom(TreeError):
    """The bound on all checkpoints would be exceeded."""


class Unreadable(TreeError):
    """Something in the tree may not be read by the service's user."""


class Refused(TreeError):
    """The tree is in a state that doesn't allow the work."""


class Missing(TreeError):
    """There is nothing at the path."""


class Damaged(TreeError):
    """The files of a checkpoint aren't as they were written."""

    @classmethod
    def without(cls, path: str) -> Damaged:
        """Return the failure for a path that is gone from the tree."""
        return cls(f"the checkpoint is damaged: {path[-200:]!r} is missing")

"""Errors of the group ``checkpoints``."""

from __future__ import annotations

import errno
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import InsufficientStorage
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import TooManyRequests
from toolbox.errors import Unavailable
from toolbox.errors import from_os_error
from toolbox_checkpoints.helpers.failures import CANCELLED


class CheckpointNotFound(NotFound):
    """There is no checkpoint with this id."""

    code = "CHECKPOINT_NOT_FOUND"


class CheckpointPathNotFound(NotFound):
    """The directory, or a path in it, doesn't exist."""

    code = "CHECKPOINT_PATH_NOT_FOUND"


class InvalidCheckpointPath(BadRequest):
    """The path doesn't fit the operation, such as that of a file."""

    code = "INVALID_CHECKPOINT_PATH"


class CheckpointConflict(Conflict):
    """The checkpoint, or the directory, is in use or in a state that doesn't allow the work."""

    code = "CHECKPOINT_CONFLICT"


class CheckpointDamaged(Conflict):
    """Files of the checkpoint are missing or aren't as they were written. It can be deleted."""

    code = "CHECKPOINT_DAMAGED"


class CheckpointFailed(ToolboxError):
    """The work failed for a reason that is none of the request."""

    code = "CHECKPOINT_FAILED"


class TooManyWorks(TooManyRequests):
    """As much is going on as may at once."""

    code = "TOO_MANY_CHECKPOINTS"


class CheckpointsFull(InsufficientStorage):
    """The disk is full, or the bound on all checkpoints is reached. Nothing is left of the new one.

    Deleting checkpoints makes room.
    """

    code = "CHECKPOINTS_FULL"


_BY_KIND: dict[str, type[ToolboxError]] = {
    # Its own, of helpers/failures.py.
    "NoRoom": CheckpointsFull,
    "Missing": CheckpointPathNotFound,
    "Unreadable": Forbidden,
    "Refused": CheckpointConflict,
    "Damaged": CheckpointDamaged,
    # A tree that was moved, or that has a mount in it, while it was copied or removed.
    "TreeError": CheckpointConflict,
}
"""Errors by the names of the helper's exceptions."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def from_failure(failure: dict[str, Any]) -> ToolboxError:
    """Return the error for the one that the helper reports."""
    known = _BY_KIND.get(failure["kind"])
    if known is not None:
        return known(failure["message"])
    if failure["errno"] in _FULL:
        return CheckpointsFull("no space left on the device")
    found = from_os_error(OSError(failure["errno"], "", failure["name"] or None))
    return found or CheckpointFailed(failure["message"])


def from_exit(status: int) -> ToolboxError:
    """Return the error for a helper that has ended without a word."""
    # The only failure that it has no words for: whoever would read them asked for the end.
    if status == CANCELLED:
        return Unavailable("cancelled")
    return Unavailable(f"the helper was ended, with the status {status}")

"""The Protocol of a backend of the group ``checkpoints``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from toolbox_checkpoints.models import Checkpoint
from toolbox_checkpoints.models import CreateRequest
from toolbox_checkpoints.models import Diff
from toolbox_checkpoints.models import DiffQuery
from toolbox_checkpoints.models import Work

IsDisconnected = Callable[[], bool]


class CheckpointsBackend(Protocol):
    """Keeps copies of directories. Raises the errors of :mod:`toolbox_checkpoints.errors`.

    ``wait`` are the maximum seconds until a method returns the state of a work that goes on; it
    goes on, too, if the client is disconnected.
    """

    def create(
        self, request: CreateRequest, wait: float, is_disconnected: IsDisconnected
    ) -> Checkpoint:
        """Copy a directory. Nothing is left if that fails."""

    def all(self) -> list[Checkpoint]:
        """Return all checkpoints, the oldest first."""

    def get(self, identity: str, wait: float, is_disconnected: IsDisconnected) -> Checkpoint:
        """Return a checkpoint, after the end of what is going on with it."""

    def diff(self, identity: str, query: DiffQuery, is_disconnected: IsDisconnected) -> Diff:
        """Compare a checkpoint with its directory, or with another checkpoint."""

    def restore(
        self, identity: str, paths: list[str], wait: float, is_disconnected: IsDisconnected
    ) -> Work:
        """Make the directory, or some paths in it, what they were; all or nothing."""

    def fork(self, identity: str, path: str, wait: float, is_disconnected: IsDisconnected) -> Work:
        """Copy a checkpoint to a directory that doesn't exist or is empty; all or nothing."""

    def delete(self, identity: str) -> None:
        """Delete a checkpoint, or cancel its making."""

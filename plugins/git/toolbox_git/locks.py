"""Locks that let one operation at a time change a repository."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from toolbox.errors import Conflict
from toolbox.linux.clock import awake


class RepositoryLocks:
    """Locks keyed by directory; each exists only while it is held or waited for.

    They order the operations of this service. Other programs are kept out by git's own ``.lock``
    files, which make an operation fail instead of wait.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._held: set[Path] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, path: Path) -> Iterator[None]:
        """Hold the lock of ``path``. Raises Conflict if it isn't released in time."""
        # Resolved, so that two paths to one repository share a lock.
        key = path.resolve()
        deadline = awake() + self._timeout
        with self._changed:
            while key in self._held:
                left = deadline - awake()
                if left <= 0:
                    raise Conflict("another operation is changing this repository")
                self._changed.wait(left)
            self._held.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(key)
                self._changed.notify_all()

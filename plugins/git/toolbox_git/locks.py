"""One change of a repository at a time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from toolbox.errors import Conflict


class RepositoryLocks:
    """Locks by the directory they stand for; they exist while somebody holds or wants them.

    They order the operations of this service. Other programs are kept off by git's own ``.lock``
    files, which make an operation fail instead of wait.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._held: set[Path] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, path: Path) -> Iterator[None]:
        """Hold the lock of ``path``. Raises Conflict if it isn't free in time."""
        key = path.resolve()
        deadline = time.monotonic() + self._timeout
        with self._changed:
            while key in self._held:
                if not self._changed.wait(deadline - time.monotonic()) and key in self._held:
                    raise Conflict("another operation is changing this repository")
            self._held.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(key)
                self._changed.notify_all()

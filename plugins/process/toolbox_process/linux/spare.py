"""Descriptors kept for the moment when there are no others."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import TypeVar

from toolbox_process.engine.launcher import SHORTAGE

COUNT = 6
"""Enough to list the processes, to look at one of them and to wait for some."""

Found = TypeVar("Found")


class Spare:
    """A few descriptors for what must be done although the service has used up all the others:
    ending what has taken too much, say.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fds: list[int] = []
        self._take()

    def look(self, look: Callable[[], Found]) -> Found:
        """Return ``look()``, which looks at processes, although there may be no descriptor left
        for that. Raises OSError.
        """
        try:
            found = look()
        except OSError as error:
            if error.errno not in SHORTAGE:
                raise
            with self.given_up():
                return look()
        self.fill()
        return found

    def fill(self) -> None:
        """Take those again that could not be had after the last block."""
        with self._lock:
            self._take()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while len(self._fds) < COUNT:
                self._fds.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    @contextlib.contextmanager
    def given_up(self) -> Iterator[None]:
        """Make that many more available in the block, unless another thread is quicker. One block
        at a time.
        """
        with self._lock:
            self.close()
            try:
                yield
            finally:
                self._take()

    def close(self) -> None:
        """Close them."""
        while self._fds:
            os.close(self._fds.pop())

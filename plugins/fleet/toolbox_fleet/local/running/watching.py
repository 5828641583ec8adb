"""The end of processes, seen by the I/O loop when it happens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from toolbox.linux.pidfd import open_process
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop


class Watcher:
    """Calls back once for each process that ends, on the loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._watched: dict[int, int] = {}
        """Descriptors by pid."""

    def watch(self, pid: int, ended: Callable[[], object]) -> None:
        """Call ``ended`` when the process ends. Raises ProcessLookupError if it is gone."""
        descriptor = open_process(pid)

        def react(events: int) -> None:
            if self._take(pid, descriptor):
                self._close(descriptor)
                ended()

        with self._lock:
            self._watched[pid] = descriptor
        self._loop.call_soon(lambda: self._loop.add(descriptor, IN, react))

    def forget(self, pid: int) -> None:
        """Expect the end of the process: nobody is called."""
        with self._lock:
            descriptor = self._watched.pop(pid, None)
        if descriptor is not None:
            self._loop.call_soon(lambda: self._close(descriptor))

    def _take(self, pid: int, descriptor: int) -> bool:
        """Forget a process; report whether it was still watched."""
        with self._lock:
            if self._watched.get(pid) != descriptor:
                return False
            del self._watched[pid]
            return True

    def _close(self, descriptor: int) -> None:
        self._loop.remove(descriptor)
        os.close(descriptor)

"""The helper's connection to the service: one JSON text a line."""

from __future__ import annotations

import json
import mmap
import os
import select
import sys
import time
from typing import Any

from toolbox.trees.errors import Cancelled

INTERVAL = 0.2
"""Seconds between two looks at whether the work is still wanted, and two reports."""

_CALLS = 31
"""Calls of ``check`` of which only one asks for the time, less one; a power of two, less one."""


_COUNTS = 3
_NOTHING = memoryview(bytes(8 * _COUNTS)).cast("q")


class Service:
    """The program at the other end of the pipes. It closes ours when it wants no result."""

    def __init__(self) -> None:
        # Of this process and the one that takes a part of its work: files, bytes, bytes stored.
        self._counts = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._own, self._other = 0, _COUNTS
        self._calls = 0
        self._last = time.monotonic()
        self._input = select.poll()
        self._input.register(0, select.POLLIN)

    @property
    def progress(self) -> list[int]:
        """Files and bytes that are done."""
        return [self._counts[number] + self._counts[number + _COUNTS] for number in (0, 1)]

    @property
    def stored_elsewhere(self) -> int:
        """Bytes that the other process has stored meanwhile."""
        return self._counts[self._other + 2]

    def count(self, files: int, size: int, stored: int = 0) -> None:
        """Set what this process has done."""
        own = self._own
        self._counts[own], self._counts[own + 1], self._counts[own + 2] = files, size, stored

    def restart(self) -> None:
        """Count from zero, in the process that takes a part."""
        self._own, self._other = _COUNTS, 0
        self.count(0, 0)

    def merge(self, files: int, size: int, stored: int = 0) -> None:
        """Set what is done once the other process has ended."""
        self.count(files, size, stored)
        self._counts[_COUNTS : 2 * _COUNTS] = _NOTHING

    def check(self) -> None:
        """Report progress, now and then. Raises Cancelled if nobody wants the result."""
        # Called for each file: most of the time it must cost nothing.
        self._calls += 1
        if self._calls & _CALLS:
            return
        now = time.monotonic()
        if now - self._last < INTERVAL:
            return
        self._last = now
        # Nothing follows the task: what can be read is the end, as it is if the service died.
        if self._input.poll(0):
            raise Cancelled("cancelled")
        if not self._own:  # Both report to one, but only this one does.
            self.send(progress=self.progress)

    def send(self, **message: Any) -> None:
        """Send a message. Raises Cancelled if nobody reads it."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            raise Cancelled("cancelled") from None


def read_task() -> dict[str, Any]:
    """Return the task: one line of standard input. Raises Cancelled if the service ended before."""
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        raise Cancelled("cancelled")
    task: dict[str, Any] = json.loads(line)
    return task

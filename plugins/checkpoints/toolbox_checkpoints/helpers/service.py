"""The helper's connection to the service: one JSON text a line."""

from __future__ import annotations

import json
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


class Service:
    """The program at the other end of the pipes. It closes ours when it wants no result."""

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0
        self._calls = 0
        self._last = time.monotonic()
        self._input = select.poll()
        self._input.register(0, select.POLLIN)

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
        self.send(progress=[self.files, self.bytes])

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

"""CPU usage: the average over the last few seconds, however often it is read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from toolbox.sockets.loop import Loop

INTERVAL = 5.0
"""Seconds between samples."""


class CpuMeter:
    """A sampler of a counter of CPU seconds.

    The average starts at the last sample but one, so it covers 5 to 10 seconds; at first, the time
    since the meter was created.
    """

    def __init__(self, cpu_seconds: Callable[[], float], loop: Loop) -> None:
        self._cpu_seconds = cpu_seconds
        self._loop = loop
        self._samples: deque[tuple[float, float]] = deque(maxlen=2)
        self._sample()

    def _sample(self) -> None:
        self._samples.append(self._read())
        self._timer = self._loop.call_later(INTERVAL, self._sample)

    def _read(self) -> tuple[float, float]:
        return time.monotonic(), self._cpu_seconds()

    def busy_cores(self) -> float:
        """Return the number of busy cores; 0 if it is unknown, as after a reset of the counter."""
        # The older sample: right after a new one, the newer would cover almost no time.
        then, before = self._samples[0]
        now, seconds = self._read()
        passed, worked = now - then, seconds - before
        return worked / passed if passed > 0 and worked > 0 else 0.0

    def close(self) -> None:
        """Stop sampling."""
        self._timer.cancel()

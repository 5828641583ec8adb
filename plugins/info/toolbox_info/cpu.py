"""How busy the CPU is: the average over the last few seconds, whoever asks and however often."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from toolbox.loop import Loop

INTERVAL = 5.0
"""Seconds between samples."""


class CpuMeter:
    """Samples a counter of CPU seconds and tells how many cores were busy lately.

    The average runs from the last sample but one, so over 5 to 10 seconds; at first, over the time
    since the meter was made.
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
        """Cores busy; 0 if nothing can be told, as when the counter was reset."""
        then, before = self._samples[0]
        now, seconds = self._read()
        passed, worked = now - then, seconds - before
        return worked / passed if passed > 0 and worked > 0 else 0.0

    def close(self) -> None:
        """Sample no more."""
        self._timer.cancel()

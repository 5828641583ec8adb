"""The resources that sandboxes use, sampled while they run and kept in memory.

The names are those that clients ask for by name.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from toolbox.lifecycle import Context
from toolbox.sockets.loop import Timer
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.groups import GIB
from toolbox_fleet.local.running.groups import Usage
from toolbox_fleet.models.metrics import DataPoint
from toolbox_fleet.models.metrics import Series
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.times import format_time

INTERVAL = 10.0
"""Seconds between two samples."""

KEPT = 720
"""Samples of a sandbox that are kept: two hours."""

DISK_INTERVAL = 300.0
"""Seconds between two looks at how much disk a sandbox uses."""

MOST_FILES = 50_000
"""Files of which the size is added up, at most: a look must not keep the disk busy."""

PREFIX = "daytona.sandbox."


class Sample(NamedTuple):
    """One look at a sandbox. Bytes, and percent of its cores."""

    time: float
    cpu_percent: float
    usage: Usage
    disk: int
    sandbox: Sandbox

    def values(self) -> dict[str, float]:
        """Return the values by the names of their metrics, without the prefix."""
        return {
            "cpu.utilization": self.cpu_percent,
            "cpu.limit": self.sandbox.cpu,
            "memory.usage": self.usage.memory,
            "memory.limit": self.sandbox.memory * GIB,
            "memory.cache": self.usage.cache,
            "filesystem.usage": self.disk,
            "filesystem.total": self.sandbox.disk * GIB,
        }


class Metrics:
    """Samples every sandbox that runs; does nothing while none does."""

    def __init__(
        self,
        context: Context,
        running: Callable[[], list[Record]],
        usage: Callable[[Record], Usage],
        files: Callable[[str], Path],
    ) -> None:
        self._context = context
        self._running = running
        self._usage = usage
        self._files = files
        self._lock = threading.Lock()
        self._samples: dict[str, deque[Sample]] = {}
        self._disks: dict[str, tuple[float, int]] = {}
        """The time of the last look, monotonic, and the bytes."""
        self._spent: dict[str, tuple[float, float]] = {}
        """The time of the last sample, monotonic, and the CPU seconds until then."""
        self._timer: Timer | None = None
        self._closed = False

    def start(self) -> None:
        """Sample from now on, until nothing runs."""
        with self._lock:
            if self._timer is None and not self._closed:
                self._timer = self._context.loop.call_later(INTERVAL, self._due)

    def _due(self) -> None:
        # On the loop, which must not wait for the disk.
        self._context.pool.submit(self._round)

    def _round(self) -> None:
        records = self._running()
        for record in records:
            self.take(record)
        with self._lock:
            # The next start of a sandbox sets the timer anew.
            again = bool(records) and not self._closed
            loop = self._context.loop
            self._timer = loop.call_later(INTERVAL, self._due) if again else None

    def take(self, record: Record) -> None:
        """Take a sample of a sandbox."""
        sandbox = record.sandbox
        now = time.monotonic()
        usage = self._usage(record)
        since, spent = self._spent.get(sandbox.id, (now, usage.cpu_seconds))
        self._spent[sandbox.id] = (now, usage.cpu_seconds)
        passed = now - since
        # Less than before: the service has started again, and counts from 0.
        busy = max(0.0, usage.cpu_seconds - spent) / passed if passed else 0.0
        sample = Sample(
            time=time.time(),
            cpu_percent=round(100 * busy / sandbox.cpu, 2),
            usage=usage,
            disk=self._disk(sandbox.id, now),
            # Its limits may change: each sample has those of its time.
            sandbox=sandbox,
        )
        with self._lock:
            self._samples.setdefault(sandbox.id, deque(maxlen=KEPT)).append(sample)

    def _disk(self, identity: str, now: float) -> int:
        looked, size = self._disks.get(identity, (-DISK_INTERVAL, 0))
        if now - looked >= DISK_INTERVAL or identity not in self._disks:
            size = disk_usage(self._files(identity))
            self._disks[identity] = (now, size)
        return size

    def series(self, identity: str, start: float, end: float) -> list[Series]:
        """Return the samples of a sandbox between two times, in seconds since the epoch."""
        with self._lock:
            # A copy: the texts are made without the lock.
            samples = list(self._samples.get(identity, ()))
        points: dict[str, list[DataPoint]] = {}
        for sample in samples:
            if start <= sample.time <= end:
                for name, value in sample.values().items():
                    point = DataPoint(format_time(sample.time), value)
                    points.setdefault(PREFIX + name, []).append(point)
        return [Series(name, found) for name, found in points.items()]

    def forget(self, identity: str) -> None:
        """Forget the samples of a sandbox that is gone."""
        with self._lock:
            for kept in (self._samples, self._disks, self._spent):
                kept.pop(identity, None)

    def close(self) -> None:
        """Take no more samples."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()


def disk_usage(root: Path) -> int:
    """Return the bytes that files below ``root`` take on disk, of the first MOST_FILES of them."""
    total = seen = 0
    waiting = [str(root)]
    while waiting and seen < MOST_FILES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    # Links are not followed: they may lead anywhere.
                    total += 512 * entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue  # Deleted meanwhile, or not to be read.
    return total

"""The kernel's counts of limits that were reached: memory, and the number of processes.

The counters are those of the control group this process is in: ``memory.events`` and
``pids.events`` of cgroup v2, ``memory.oom_control`` and ``pids.events`` of v1.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from toolbox.linux.cgroupfs import own_paths
from toolbox_process.engine.launcher import Counts

ROOT = Path("/sys/fs/cgroup")

_OWN = Path("/proc/self/cgroup")


class Limits:
    """The counters. *Any thread* may call."""

    def __init__(self, root: Path = ROOT, own: Path = _OWN) -> None:
        paths = own_paths(own)
        self._oom = _Counter("oom_kill", _candidates(root, paths, "memory", *_MEMORY))
        self._pids = _Counter("max", _candidates(root, paths, "pids", "pids.events"))

    def counts(self) -> Counts:
        """Return the counters as they are now; 0 where the kernel has none."""
        return Counts(self._oom.read(), self._pids.read())

    def close(self) -> None:
        """Close the files."""
        self._oom.close()
        self._pids.close()


_MEMORY = ("memory.events", "memory.oom_control")


def _candidates(root: Path, groups: dict[str, str], controller: str, *names: str) -> list[Path]:
    """Return the possible files of a counter: in our group or, in a container, at the top."""
    found = []
    for directory, group in ((root / controller, groups.get(controller)), (root, groups.get(""))):
        own = [] if group is None else [directory / group.lstrip("/")]
        found += [place / name for place in (*own, directory) for name in names]
    return found


class _Counter:
    """One number of a file of lines ``name number``, which is kept open: it is read often."""

    def __init__(self, name: str, files: list[Path]) -> None:
        self._name = name.encode()
        self._lock = threading.Lock()
        self._last = 0
        self._text = b""
        self._fd = -1
        for file in files:
            try:
                self._fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            break

    def read(self) -> int:
        with self._lock:
            if self._fd < 0:
                return 0
            # What can't be read now counts as unchanged, or the next job to end would be blamed.
            try:
                text = os.pread(self._fd, 4096, 0)
            except OSError:
                return self._last
            if text != self._text:
                self._last, self._text = self._find(text), text
            return self._last

    def _find(self, text: bytes) -> int:
        for line in text.splitlines():
            name, _, number = line.partition(b" ")
            if name == self._name and number.isdigit():
                return int(number)
        return 0

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

"""What this process's control group may use and uses: cgroup v2, v1, or the whole machine.

Sources: the kernel's ``cgroup-v2`` and ``cgroup-v1`` documents, cgroups(7), proc(5). Inside a
container the group is mounted at the root of ``/sys/fs/cgroup``; elsewhere it lies below, at the
path ``/proc/self/cgroup`` tells. A limit may be set on any group above ours, so all count.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

UNLIMITED = 0x7FFFFFFFFFFFF000
"""What v1 says of a group without a memory limit: LONG_MAX rounded down to a page."""


@dataclass(frozen=True)
class Usage:
    """CPU in cores and seconds, memory in bytes."""

    cpu_limit: float
    cpu_seconds: float
    memory_total: int
    memory_used: int
    memory_cache: int


class Cgroup(Protocol):
    """One way to account for what the sandbox uses."""

    def cpu_seconds(self) -> float:
        """CPU time used so far."""

    def usage(self) -> Usage:
        """Everything at once."""


def find_cgroup(root: Path = Path("/")) -> Cgroup:
    """The most precise accounting there is. ``root`` is where ``sys`` and ``proc`` lie."""
    host = Host(root / "proc")
    mount = root / "sys/fs/cgroup"
    paths = _own_paths(root / "proc/self/cgroup")
    if (mount / "cgroup.controllers").exists():
        return CgroupV2(_lowest(mount, paths.get("", "/"), "memory.current"), mount, host)
    memory = _lowest(mount / "memory", paths.get("memory", "/"), "memory.usage_in_bytes")
    cpu = _lowest(mount / "cpu", paths.get("cpu", "/"), "cpu.cfs_quota_us")
    if (memory / "memory.usage_in_bytes").exists():
        return CgroupV1(mount, memory, cpu, host)
    return host


def _own_paths(file: Path) -> dict[str, str]:
    """The path of our group in each v1 hierarchy by controller, and in v2 under ``""``."""
    paths: dict[str, str] = {}
    for line in _read(file).splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _lowest(mount: Path, path: str, file: str) -> Path:
    """The directory of our own group; the mount itself if, as in a container, that is our group."""
    own = mount / path.lstrip("/")
    return own if (own / file).exists() else mount


def _upwards(directory: Path, mount: Path) -> Iterator[Path]:
    yield directory
    while directory != mount and mount in directory.parents:
        directory = directory.parent
        yield directory


class Host:
    """The whole machine."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def cpu_seconds(self) -> float:
        fields = _read(self._proc / "stat").partition("\n")[0].split()[1:9]
        if len(fields) < 8:
            return 0.0
        # user nice system idle iowait irq softirq steal: all but idle, iowait and steal.
        busy = [int(fields[i]) for i in (0, 1, 2, 5, 6)]
        return sum(busy) / os.sysconf("SC_CLK_TCK")

    def usage(self) -> Usage:
        memory = self.memory()
        total = memory.get("MemTotal", 0)
        return Usage(
            cpu_limit=self.cores(),
            cpu_seconds=self.cpu_seconds(),
            memory_total=total,
            memory_used=max(0, total - memory.get("MemAvailable", total)),
            memory_cache=memory.get("Cached", 0),
        )

    def cores(self) -> float:
        """Cores of the machine."""
        return float(os.cpu_count() or 1)

    def memory(self) -> dict[str, int]:
        """``/proc/meminfo`` in bytes."""
        found: dict[str, int] = {}
        for line in _read(self._proc / "meminfo").splitlines():
            name, _, value = line.partition(":")
            number = value.split()[:1]
            if number and number[0].isdigit():
                found[name] = int(number[0]) * 1024
        return found


class CgroupV2:
    """The unified hierarchy."""

    def __init__(self, directory: Path, mount: Path, host: Host) -> None:
        self._directory = directory
        self._mount = mount
        self._host = host

    def cpu_seconds(self) -> float:
        text = _read(self._directory / "cpu.stat")
        if "usage_usec" not in text:
            return self._host.cpu_seconds()
        return _table(text).get("usage_usec", 0) / 1e6

    def usage(self) -> Usage:
        whole = self._host.usage()
        if not (self._directory / "memory.current").exists():
            # The machine's root group has no such figure; it is the machine.
            return whole
        return Usage(
            cpu_limit=min([whole.cpu_limit, *self._cpu_limits()]),
            cpu_seconds=self.cpu_seconds(),
            memory_total=min([whole.memory_total, *self._memory_limits()]),
            memory_used=_number(self._directory / "memory.current"),
            memory_cache=_table(_read(self._directory / "memory.stat")).get("file", 0),
        )

    def _cpu_limits(self) -> Iterator[float]:
        for directory in _upwards(self._directory, self._mount):
            quota, _, period = _read(directory / "cpu.max").partition(" ")
            if quota.isdigit() and period.strip().isdigit():
                yield int(quota) / int(period)

    def _memory_limits(self) -> Iterator[int]:
        for directory in _upwards(self._directory, self._mount):
            if limit := _number(directory / "memory.max"):
                yield limit


class CgroupV1:
    """One hierarchy for each controller."""

    def __init__(self, mount: Path, memory: Path, cpu: Path, host: Host) -> None:
        self._mount = mount
        self._memory = memory
        self._cpu = cpu
        self._host = host

    def cpu_seconds(self) -> float:
        own = self._mount / "cpuacct" / self._cpu.relative_to(self._mount / "cpu")
        nanoseconds = _number(own / "cpuacct.usage")
        return nanoseconds / 1e9 if nanoseconds else self._host.cpu_seconds()

    def usage(self) -> Usage:
        whole = self._host.usage()
        stat = _table(_read(self._memory / "memory.stat"))
        return Usage(
            cpu_limit=min([whole.cpu_limit, *self._cpu_limits()]),
            cpu_seconds=self.cpu_seconds(),
            memory_total=min([whole.memory_total, *self._memory_limits()]),
            memory_used=_number(self._memory / "memory.usage_in_bytes"),
            memory_cache=stat.get("total_cache", stat.get("cache", 0)),
        )

    def _cpu_limits(self) -> Iterator[float]:
        for directory in _upwards(self._cpu, self._mount / "cpu"):
            quota = _number(directory / "cpu.cfs_quota_us")
            period = _number(directory / "cpu.cfs_period_us")
            if quota > 0 and period > 0:
                yield quota / period

    def _memory_limits(self) -> Iterator[int]:
        for directory in _upwards(self._memory, self._mount / "memory"):
            limit = _number(directory / "memory.limit_in_bytes")
            if 0 < limit < UNLIMITED:
                yield limit


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        return ""


def _number(file: Path) -> int:
    """The number in ``file``; 0 if there is none (v2 says ``max``), -1 too is v1's "no limit"."""
    text = _read(file).strip()
    return int(text) if text.lstrip("-").isdigit() else 0


def _table(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}

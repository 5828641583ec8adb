"""Limits and usage of this process's control group: cgroup v2, v1, or the whole machine.

Sources: the kernel's ``cgroup-v2`` and ``cgroup-v1`` documents, cgroups(7), proc(5). Inside a
container our group is mounted at the root of ``/sys/fs/cgroup``; elsewhere it lies below, at the
path in ``/proc/self/cgroup``. A limit may be set on any group above ours, so all count. A
controller may be absent from our group, or altogether: then the nearest group above that has it,
or the machine, accounts for us.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from toolbox.linux.cgroupfs import number
from toolbox.linux.cgroupfs import own_paths
from toolbox.linux.cgroupfs import read
from toolbox.linux.cgroupfs import table

UNLIMITED = 0x7FFFFFFFFFFFF000
"""The memory limit of a v1 group without one: LONG_MAX rounded down to a page."""


class Usage(msgspec.Struct, frozen=True):
    """CPU in cores, memory in bytes."""

    cpu_limit: float
    memory_total: int
    memory_used: int
    memory_cache: int
    """Bytes of ``memory_used`` that are file cache."""


def find_accounting(root: Path = Path("/")) -> Machine:
    """Return the most precise accounting there is. ``root`` contains ``sys`` and ``proc``."""
    proc = root / "proc"
    mount = root / "sys/fs/cgroup"
    paths = own_paths(proc / "self/cgroup")
    if (mount / "cgroup.controllers").exists():
        return CgroupV2(proc, _groups(mount, paths.get("", "/")))
    controllers = ("memory", "cpu", "cpuacct", "cpuset")
    groups = {name: _groups(mount / name, paths.get(name, "/")) for name in controllers}
    if any(groups.values()):
        return CgroupV1(proc, groups)
    return Machine(proc)


def _groups(mount: Path, path: str) -> list[Path]:
    """Return the directories of our group and of those above it, nearest first.

    Only ``mount`` if ``path`` isn't below it: then that is our group's path for other namespaces.
    """
    if not mount.is_dir():
        return []
    parts = [part for part in path.split("/") if part]
    # ".." leads out of our cgroup namespace (cgroup_namespaces(7)): nothing of it is mounted here.
    if ".." in parts or not mount.joinpath(*parts).is_dir():
        return [mount]
    return [mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


class Machine:
    """The whole machine, for use without a control group."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far on all cores, in seconds."""
        fields = read(self._proc / "stat").partition("\n")[0].split()[1:9]
        if len(fields) < 8:
            return 0.0
        # user nice system idle iowait irq softirq steal: all but idle, iowait and steal.
        busy = [int(fields[i]) for i in (0, 1, 2, 5, 6)]
        return sum(busy) / os.sysconf("SC_CLK_TCK")

    def usage(self) -> Usage:
        """Return limits and memory at present. Values that can't be read are 0."""
        used, cache = self._memory()
        return Usage(
            cpu_limit=min(self._cpu_limits()),
            memory_total=min(self._memory_limits(), default=0),
            memory_used=used,
            memory_cache=cache,
        )

    def _cpu_limits(self) -> Iterator[float]:
        """Yield limits in cores. Not this process's affinity, which doesn't limit the sandbox."""
        yield float(os.cpu_count() or 1)

    def _memory_limits(self) -> Iterator[int]:
        if total := self._meminfo().get("MemTotal"):
            yield total

    def _memory(self) -> tuple[int, int]:
        """Return the bytes used, and those of them that are file cache."""
        memory = self._meminfo()
        return memory.get("MemTotal", 0) - memory.get("MemFree", 0), memory.get("Cached", 0)

    def _meminfo(self) -> dict[str, int]:
        """Return the values of ``/proc/meminfo``, in bytes."""
        found: dict[str, int] = {}
        for line in read(self._proc / "meminfo").splitlines():
            name, _, value = line.partition(":")
            number = value.split()[:1]
            if number and number[0].isdigit():
                found[name] = int(number[0]) * 1024
        return found


class CgroupV2(Machine):
    """The unified hierarchy. ``groups`` as of :func:`_groups`."""

    def __init__(self, proc: Path, groups: list[Path]) -> None:
        super().__init__(proc)
        self._groups = groups
        # The machine's root group has no memory.current: it is the machine.
        self._memory_group = _nearest(groups, "memory.current")
        self._cpuset = _nearest(groups, "cpuset.cpus.effective")
        stat = groups[0] / "cpu.stat"
        self._cpu_stat = stat if "usage_usec" in table(read(stat)) else None

    def cpu_seconds(self) -> float:
        if self._cpu_stat is None:
            return super().cpu_seconds()
        return table(read(self._cpu_stat)).get("usage_usec", 0) / 1e6

    def _cpu_limits(self) -> Iterator[float]:
        yield from super()._cpu_limits()
        yield from _cpuset_size(self._cpuset, "cpuset.cpus.effective")
        for group in self._groups:
            quota, _, period = read(group / "cpu.max").strip().partition(" ")
            # "max" stands for no quota.
            if quota.isdigit() and period.isdigit() and int(quota) and int(period):
                yield int(quota) / int(period)

    def _memory_limits(self) -> Iterator[int]:
        yield from super()._memory_limits()
        for group in self._groups:
            if limit := number(read(group / "memory.max")):  # "max" is none.
                yield limit

    def _memory(self) -> tuple[int, int]:
        group = self._memory_group
        if group is None:
            return super()._memory()
        cache = table(read(group / "memory.stat")).get("file", 0)
        return number(read(group / "memory.current")), cache


class CgroupV1(Machine):
    """One hierarchy for each controller. ``groups`` by controller, each as of :func:`_groups`."""

    def __init__(self, proc: Path, groups: dict[str, list[Path]]) -> None:
        super().__init__(proc)
        self._groups = groups
        self._memory_group = _nearest(groups["memory"], "memory.usage_in_bytes")
        self._cpuset = _nearest(groups["cpuset"], "cpuset.effective_cpus")
        self._cpuacct = _nearest(groups["cpuacct"], "cpuacct.usage")

    def cpu_seconds(self) -> float:
        if self._cpuacct is None:
            return super().cpu_seconds()
        return number(read(self._cpuacct / "cpuacct.usage")) / 1e9

    def _cpu_limits(self) -> Iterator[float]:
        yield from super()._cpu_limits()
        yield from _cpuset_size(self._cpuset, "cpuset.effective_cpus")
        for group in self._groups["cpu"]:
            quota = number(read(group / "cpu.cfs_quota_us"))
            period = number(read(group / "cpu.cfs_period_us"))
            if quota > 0 and period > 0:
                yield quota / period

    def _memory_limits(self) -> Iterator[int]:
        yield from super()._memory_limits()
        for group in self._groups["memory"]:
            limit = number(read(group / "memory.limit_in_bytes"))
            if 0 < limit < UNLIMITED:
                yield limit

    def _memory(self) -> tuple[int, int]:
        group = self._memory_group
        if group is None:
            return super()._memory()
        stat = table(read(group / "memory.stat"))
        # The totals count the groups below ours, as the usage does.
        cache = stat.get("total_cache", stat.get("cache", 0))
        return number(read(group / "memory.usage_in_bytes")), cache


def _nearest(groups: list[Path], file: str) -> Path | None:
    return next((group for group in groups if (group / file).exists()), None)


def _cpuset_size(group: Path | None, file: str) -> Iterator[float]:
    """Yield the count of CPUs in a list such as ``0-3,7`` (cpuset(7)), if it is there."""
    text = read(group / file).strip() if group else ""
    ends = [part.partition("-") for part in text.split(",") if part]
    if not all(first.isdigit() and (last or first).isdigit() for first, _, last in ends):
        return
    count = sum(int(last or first) - int(first) + 1 for first, _, last in ends)
    if count > 0:
        yield float(count)

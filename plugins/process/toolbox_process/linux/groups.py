"""Control groups of single jobs, for limits of everything that a job starts.

Sources: the kernel's ``cgroup-v2`` and ``cgroup-v1`` documents, cgroups(7). A job's group is made
below this service's own, in each hierarchy where one may be made.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from toolbox.linux.cgroupfs import delegate
from toolbox.linux.cgroupfs import own_paths
from toolbox.linux.cgroupfs import read
from toolbox.linux.cgroupfs import table
from toolbox_process.engine.launcher import Counts

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PREFIX = "toolbox-job-"

PERIOD = 100_000
"""Microseconds of a period of the CPU limit, the kernel's default."""

ABANDONED = 60.0
"""Seconds after which the group of a service that isn't there is removed."""

CLOSING = 0.5
"""Maximum seconds that the end of the service waits for groups to be empty."""

_V2 = {"cpu": "cpu.max", "memory": "memory.max", "pids": "pids.max"}
_V1 = {"cpu": "cpu.cfs_quota_us", "memory": "memory.limit_in_bytes", "pids": "pids.max"}

# Swap would only make what exceeds its memory slow. Not every kernel counts it.
_SWAP_V2, _SWAP_V1 = "memory.swap.max", "memory.memsw.limit_in_bytes"


class Group(NamedTuple):
    """A job's directories by the controllers that could be limited; in version 2 they are one."""

    directories: Mapping[str, Path]

    def files(self) -> list[Path]:
        """Return the files by which a process enters."""
        return [path / "cgroup.procs" for path in sorted(set(self.directories.values()))]

    def counts(self) -> Counts:
        """Return the kernel's counts of limits that were reached."""
        memory, pids = self.directories.get("memory"), self.directories.get("pids")
        kills = 0
        if memory is not None:
            kills = table(read(memory / "memory.events")).get("oom_kill", 0)
            kills += table(read(memory / "memory.oom_control")).get("oom_kill", 0)
        return Counts(kills, 0 if pids is None else table(read(pids / "pids.events")).get("max", 0))

    def remove(self) -> bool:
        """Remove it; False if processes are left in it."""
        for path in set(self.directories.values()):
            with suppress(OSError):
                path.rmdir()
        return not any(path.is_dir() for path in self.directories.values())


class JobGroups:
    """The groups of a service's jobs. *Any thread.*"""

    def __init__(self, mount: Path = MOUNT, own: Path = OWN) -> None:
        self._mount = mount
        self._paths = own_paths(own)
        self._unified = (mount / "cgroup.controllers").exists()
        self._lock = threading.Lock()
        self._left: list[Group] = []
        self._swept: set[Path] = set()

    def make(self, limits: Mapping[str, float]) -> Group:
        """Make a group with those of the limits that can be set here, by their names."""
        self._remove_left()
        name = f"{PREFIX}{os.getpid()}-{os.urandom(6).hex()}"
        made: dict[str, Path] = {}
        for controller, value in limits.items():
            parent = self._parent(controller)
            if parent is not None:
                self._sweep(parent)
                path = parent / name
                with suppress(OSError):
                    path.mkdir(exist_ok=True)
                    self._limit(path, controller, value)
                    made[controller] = path
                if controller not in made and path not in made.values():
                    with suppress(OSError):
                        path.rmdir()
        return Group(made)

    def _limit(self, path: Path, controller: str, value: float) -> None:
        text = str(int(value))
        if controller == "cpu":
            # A quota under a millisecond is refused.
            quota = max(1000, int(value * PERIOD))
            text = f"{quota} {PERIOD}" if self._unified else str(quota)
        (path / (_V2 if self._unified else _V1)[controller]).write_text(text, "ascii")
        if controller == "memory":
            with suppress(OSError):
                swap = "0" if self._unified else text
                (path / (_SWAP_V2 if self._unified else _SWAP_V1)).write_text(swap, "ascii")

    def _parent(self, controller: str) -> Path | None:
        """Return the directory to make groups in, None if that can't be done."""
        mount = self._mount if self._unified else self._mount / controller
        own = self._paths.get("" if self._unified else controller)
        if own is None:
            return None
        parent = mount.joinpath(*(part for part in own.split("/") if part))
        if ".." in parent.parts or not parent.is_dir():
            # The path may be another namespace's. Only if we are there, the top is our group: a
            # job must not get out of the limits that hold for this service.
            if str(os.getpid()) not in read(mount / "cgroup.procs").split():
                return None
            parent = mount
        return parent if not self._unified or delegate(parent, controller) else None

    def release(self, group: Group) -> None:
        """Remove the group of a job that has ended, now or when its last process has."""
        if not group.remove():
            with self._lock:
                self._left.append(group)

    def _remove_left(self) -> bool:
        """Remove the groups that could not be before; return whether all are gone."""
        with self._lock:
            self._left = [group for group in self._left if not group.remove()]
            return not self._left

    def _sweep(self, parent: Path) -> None:
        """Remove the groups of services that were killed, once in each directory."""
        with self._lock:
            if parent in self._swept:
                return
            self._swept.add(parent)
        for path in parent.glob(f"{PREFIX}*"):
            pid = path.name.removeprefix(PREFIX).partition("-")[0]
            with suppress(OSError):
                # Not a new one, whose first process may be about to enter: its service may be in
                # another PID namespace.
                old = time.time() - path.stat().st_mtime > ABANDONED
                if old and not Path("/proc", pid).exists():
                    path.rmdir()

    def close(self) -> None:
        """Remove the groups of jobs that have just been killed: it takes them a moment."""
        deadline = time.monotonic() + CLOSING
        while not self._remove_left() and time.monotonic() < deadline:
            time.sleep(0.01)

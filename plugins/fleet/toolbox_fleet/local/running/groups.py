"""Control groups of sandboxes: limits, usage, and all processes at once.

Sources: the kernel's ``cgroup-v2`` and ``cgroup-v1`` documents, cgroups(7). Each sandbox has a
group below this service's own, in every hierarchy where one may be made. A limit that can't be set
is not enforced, and :meth:`Groups.describe` says so.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from toolbox.linux.cgroupfs import delegate
from toolbox.linux.cgroupfs import number
from toolbox.linux.cgroupfs import own_paths
from toolbox.linux.cgroupfs import read
from toolbox.linux.cgroupfs import table

MOUNT = Path("/sys/fs/cgroup")

PERIOD = 100_000
"""Microseconds of a period of the CPU limit, the kernel's default."""

GIB = 1024**3

ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done 2>/dev/null; shift; exec "$@"'
"""A shell script that enters the groups whose files come before ``--`` and becomes the rest. From
outside it would be too late: bwrap has children a moment after its start.
"""


class Usage(NamedTuple):
    """The use that a sandbox makes of this machine."""

    cpu_seconds: float
    memory: int
    """Bytes."""
    cache: int
    """Bytes of file cache among them."""


class Groups:
    """The groups of all sandboxes. Methods are silent about groups that aren't there."""

    def __init__(self, mount: Path = MOUNT, own: Path = Path("/proc/self/cgroup")) -> None:
        self._mount = mount
        self._own = own

    @functools.cached_property
    def _parents(self) -> dict[str, Path]:
        """The directories in which groups are made, by controller; in version 2 all the same."""
        paths = own_paths(self._own)
        if (self._mount / "cgroup.controllers").exists():
            parent = _below(self._mount, paths.get("", "/"))
            names = ("cpu", "memory", "pids")
            found = {name: parent for name in names if delegate(parent, name)}
            # A v2 group can hold processes and be frozen even where no controller is delegated.
            return {"": parent, **found} if os.access(parent, os.W_OK) else {}
        # In version 1 each controller has a tree of its own, and any of them may be read-only.
        parents = {
            name: _below(self._mount / name, paths.get(name, "/"))
            for name in ("cpu", "cpuacct", "memory", "pids", "freezer")
        }
        return {name: path for name, path in parents.items() if os.access(path, os.W_OK)}

    @property
    def _unified(self) -> bool:
        return "" in self._parents

    def describe(self) -> str:
        """Return which limits are enforced, for people."""
        limited = [name for name in ("cpu", "memory", "pids") if name in self._parents]
        missing = [name for name in ("cpu", "memory", "pids") if name not in self._parents]
        text = f"enforced by control groups: {', '.join(limited) or 'none'}"
        return f"{text}; not enforced: {', '.join([*missing, 'disk'])}"

    def _directories(self, identity: str) -> Iterator[Path]:
        # In version 2 several controllers share one directory.
        yield from sorted({path / f"toolbox-{identity}" for path in self._parents.values()})

    def _file(self, identity: str, controller: str, name: str) -> Path | None:
        parent = self._parents.get(controller)
        return parent / f"toolbox-{identity}" / name if parent is not None else None

    def make(self, identity: str) -> list[str]:
        """Make a sandbox's groups. Returns the program that enters them and becomes another."""
        files = []
        for directory in self._directories(identity):
            with contextlib.suppress(OSError):
                directory.mkdir(exist_ok=True)
                files.append(str(directory / "cgroup.procs"))
        return ["/bin/sh", "-c", ENTER, "sh", *files, "--"] if files else []

    def limit(self, identity: str, cpu: int, memory: int, pids: int) -> None:
        """Set the limits of a sandbox: cores, GiB, processes and threads."""
        size = str(memory * GIB)
        if self._unified:
            self._write(identity, "cpu", "cpu.max", f"{cpu * PERIOD} {PERIOD}")
            self._write(identity, "memory", "memory.max", size)
        else:
            self._write(identity, "cpu", "cpu.cfs_quota_us", str(cpu * PERIOD))
            self._write(identity, "memory", "memory.limit_in_bytes", size)
        self._write(identity, "pids", "pids.max", str(pids))

    def freeze(self, identity: str, frozen: bool) -> None:
        """Stop all of a sandbox's processes at once, or continue them."""
        if self._unified:
            self._write(identity, "", "cgroup.freeze", "1" if frozen else "0")
        else:
            self._write(identity, "freezer", "freezer.state", "FROZEN" if frozen else "THAWED")

    def processes(self, identity: str) -> set[int]:
        """Return the pids of a sandbox's processes, as far as its groups know them."""
        found: set[int] = set()
        for directory in self._directories(identity):
            for file in directory.rglob("cgroup.procs"):
                found |= {int(pid) for pid in read(file).split() if pid.isdigit()}
        # Processes of another PID namespace are shown as 0 (cgroups(7)).
        return found - {0}

    def usage(self, identity: str) -> Usage | None:
        """Return the use that a sandbox makes of this machine, None if its groups don't know."""
        # Half of the figures would look like a sandbox that uses nothing.
        if "memory" not in self._parents or not {"cpu", "cpuacct"} & set(self._parents):
            return None
        if self._unified:
            memory = number(self._read(identity, "memory", "memory.current"))
            spent = table(self._read(identity, "cpu", "cpu.stat")).get("usage_usec", 0) / 1e6
            cache = table(self._read(identity, "memory", "memory.stat")).get("file", 0)
        else:
            memory = number(self._read(identity, "memory", "memory.usage_in_bytes"))
            spent = number(self._read(identity, "cpuacct", "cpuacct.usage")) / 1e9
            stat = table(self._read(identity, "memory", "memory.stat"))
            cache = stat.get("total_cache", stat.get("cache", 0))
        # Without memory the group is empty, or gone.
        return Usage(spent, memory, cache) if memory else None

    def was_short_of_memory(self, identity: str) -> bool:
        """Report whether the kernel has killed a process of a sandbox for want of memory."""
        name = "memory.events" if self._unified else "memory.oom_control"
        return bool(table(self._read(identity, "memory", name)).get("oom_kill"))

    def remove(self, identity: str) -> None:
        """Remove the groups of a sandbox without processes."""
        for directory in self._directories(identity):
            # Its own processes may have made groups inside.
            for below in sorted(directory.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    below.rmdir()
            with contextlib.suppress(OSError):
                directory.rmdir()

    def _write(self, identity: str, controller: str, name: str, text: str) -> None:
        file = self._file(identity, controller, name)
        if file is not None:
            with contextlib.suppress(OSError):
                file.write_text(text, "ascii")

    def _read(self, identity: str, controller: str, name: str) -> str:
        file = self._file(identity, controller, name)
        return read(file) if file is not None else ""


def _below(mount: Path, path: str) -> Path:
    """Return the directory of our group; ``mount`` if it has another path in our namespace."""
    own = mount.joinpath(*(part for part in path.split("/") if part))
    return own if ".." not in own.parts and own.is_dir() else mount

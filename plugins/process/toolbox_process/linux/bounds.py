"""Limits of single jobs: by control groups where they may be made, else by the limits of processes.

A program can't be limited from outside after its start: what it has started by then would escape.
So another program runs before it (``sandbox/limited.py``), which sets the limits and becomes it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from toolbox_process.engine.launcher import Counts
from toolbox_process.linux.groups import Group
from toolbox_process.linux.groups import JobGroups
from toolbox_process.models import Limits

LIMITED = Path(__file__).parent.parent / "sandbox" / "limited.py"

CGROUP, RLIMIT, AFFINITY, NONE = "cgroup", "rlimit", "affinity", "none"
"""The means by which a limit is enforced."""


class Bounds(NamedTuple):
    """The limits of one job: how each is ``applied``, and the program that runs first."""

    applied: Mapping[str, str]
    entrance: tuple[str, ...]
    group: Group
    groups: JobGroups

    def counts(self) -> Counts:
        """Return the kernel's counts of limits that were reached."""
        return self.group.counts()

    def close(self) -> None:
        """Remove the control group."""
        self.groups.release(self.group)


def make_bounds(groups: JobGroups, limits: Limits, uid: int) -> Bounds:
    """Return the bounds for a job that is about to start as the user ``uid``."""
    given = limits.given()
    group = groups.make(given)
    settings = [f"procs={file}" for file in group.files()]
    applied = dict.fromkeys(group.directories, CGROUP)
    for name, value in given.items():
        if name not in applied:
            setting, applied[name] = _fallback(name, value, uid)
            settings += [setting] if setting else []
    # -I: no PYTHON* variables, which the job's are. -S: no site-packages (python(1)).
    entrance = (sys.executable, "-I", "-S", str(LIMITED), *settings, "--")
    return Bounds({name: applied[name] for name in given}, entrance, group, groups)


def _fallback(name: str, value: float, uid: int) -> tuple[str, str]:
    """Return what ``limited.py`` is to set for a limit, and the means that is."""
    if name == "memory":
        # Not RLIMIT_AS: runtimes such as V8 and the JVM reserve far more than they use.
        return f"data={int(value)}", RLIMIT
    if name == "pids":
        # Root and the like are exempt (setrlimit(2)).
        return ("", NONE) if uid == 0 else (f"nproc={int(value) + _tasks_of(uid)}", RLIMIT)
    return f"cores={math.ceil(value)}", AFFINITY


def _tasks_of(uid: int) -> int:
    """Return the number of processes and threads of a user, which RLIMIT_NPROC counts all."""
    count = 0
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                if directory.stat().st_uid == uid:
                    count += sum(1 for _ in (directory / "task").iterdir())
            except OSError:
                continue  # It has just ended.
    return count

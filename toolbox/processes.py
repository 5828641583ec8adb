"""Processes: starting them at full width, finding a whole tree, and ending what is left of one.

Children of the service are started with :func:`popen`, so that they get every core (the threads of
the service may be pinned to one), a session of their own, and are the first to go when memory is
short.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_cores: set[int] = set()
_pinned: set[int] = set()
_environment = threading.Lock()


def pin_to_one_core() -> None:
    """Keep this process's threads on one of its cores, if it has several.

    Two cores spend their time handing the GIL to and fro; one doesn't. Threads started later
    inherit it, children started with :func:`popen` don't.
    """
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        _cores.update(cores)
        _pinned.add(max(cores))
        os.sched_setaffinity(0, _pinned)


_SACRIFICE = 500
"""How much rather than the service the kernel kills its children when memory is short, of 1000."""


class _Spawner:
    """Starts children, on a thread of its own that has every core.

    A child inherits cores and ``oom_score_adj`` (proc(5)) from its parent. A thread of a pinned
    service that changed its cores for the moment would be moved to and fro between them, which
    takes milliseconds where they are busy. The score is the process's: it is raised for the moment
    of the start, which needs no privilege, and so holds before the child can have children.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "toolbox-spawner", initializer=self._prepare)
        self._score = -1
        self._own, self._raised = b"", b""

    def _prepare(self) -> None:
        if _cores:
            os.sched_setaffinity(0, _cores)
        with contextlib.suppress(OSError):
            self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            own = int(os.pread(self._score, 16, 0))
            self._own, self._raised = b"%d" % own, b"%d" % min(1000, own + _SACRIFICE)

    def start(self, arguments: list[str], **options: Any) -> subprocess.Popen[Any]:
        """As subprocess.Popen."""
        return self._thread.submit(self._start, arguments, options).result()

    def _start(self, arguments: list[str], options: dict[str, Any]) -> subprocess.Popen[Any]:
        self._set_score(self._raised)
        try:
            return subprocess.Popen(arguments, **options)
        finally:
            self._set_score(self._own)

    def _set_score(self, score: bytes) -> None:
        if score:
            with contextlib.suppress(OSError):
                os.pwrite(self._score, score, 0)


_spawner = _Spawner()


def environment() -> dict[str, str]:
    """A copy of what children inherit. One made of ``os.environ`` may catch a change half made."""
    with _environment:
        return dict(os.environ)


def erase_from_environ(name: str) -> None:
    """Overwrite a variable in the memory this process was started with.

    Taking it out of ``os.environ`` leaves it there, for every process of the user to read in
    ``/proc/<pid>/environ`` (proc(5)). To be called after that: it must no longer be in use.
    """
    stat = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    start, end = int(stat[47]), int(stat[48])  # env_start and env_end, fields 50 and 51
    with contextlib.suppress(OSError), Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        block = memory.read(end - start)
        at = 0
        for variable in block.split(b"\0"):
            if variable.startswith(f"{name}=".encode()):
                memory.seek(start + at)
                memory.write(b"\0" * len(variable))
            at += len(variable) + 1


@contextlib.contextmanager
def changing_environment() -> Iterator[MutableMapping[str, str]]:
    """``os.environ``, for a change of which no :func:`environment` holds only a part."""
    with _environment:
        yield os.environ


def popen(arguments: list[str], **options: Any) -> subprocess.Popen[Any]:
    """``subprocess.Popen`` in a session of its own, on every core, and first to go when memory is
    short.

    The options chosen keep CPython on its vfork path, which costs the same however large this
    process is; ``preexec_fn`` would leave it and is refused.
    """
    if "preexec_fn" in options:
        raise TypeError("preexec_fn forks the whole process; use a wrapper program")
    if "env" not in options:
        options["env"] = environment()
    return _spawner.start(arguments, start_new_session=True, **options)


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process (prctl(2), PR_SET_CHILD_SUBREAPER).

    So that what daemonises is still found, and reaped, wherever the service isn't PID 1.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents() -> dict[int, int]:
    """The parent of every process there is, zombies left out."""
    found: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                text = Path(entry.path, "stat").read_text("ascii", "replace")
            except OSError:
                continue  # It has ended meanwhile.
            # The name, in parentheses, may hold anything; what follows the last one doesn't.
            state, parent = text.rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(entry.name)] = int(parent)
    return found


def descendants(pid: int) -> list[int]:
    """Every process below ``pid``, deepest last."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    queue = [pid]
    for each in queue:
        below = children.get(each, [])
        found += below
        queue += below
    return found


def kill_descendants(keep: set[int], timeout: float = 5.0) -> None:
    """Kill everything below this process but ``keep`` and what is below them, until it is gone.

    For a process that has no other children to wait for: it reaps whatever ends.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        kept = keep.union(*(descendants(pid) for pid in keep))
        targets = [pid for pid in descendants(os.getpid()) if pid not in kept]
        if not targets:
            return
        for pid in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap(targets)
        time.sleep(0.01)  # What was orphaned a moment ago becomes our child now.


def _reap(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

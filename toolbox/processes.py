"""Processes: starting them at full width, finding a whole tree, and ending what is left of one.

Children of the service are started with :func:`popen`, so that they get every core (the threads of
the service may be pinned to one), a session of their own, and are the first to go when memory is
short.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
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

TAGS = 64
"""Different scores that children are given: 1/1000 of the memory apart."""

GONE = frozenset({errno.ENOENT, errno.ESRCH})
"""What the kernel says of a process that has ended. Every other errno leaves that open."""

HIDDEN = frozenset({errno.EACCES, errno.EPERM})
"""What it says of another user's process where they are hidden (``hidepid`` in proc(5))."""

_RLIMIT_LOCKS = 10
"""A limit that Linux has counted nothing by since 2.4.25 (setrlimit(2)) but still hands down."""

_FIRST_NUMBER = 1 << 62


class _Spawner:
    """Starts children, on a thread of its own that has every core.

    A child inherits cores, ``oom_score_adj`` and limits (proc(5)) from its parent. A thread of a
    pinned service that changed its cores for the moment would be moved to and fro between them,
    which takes milliseconds where they are busy. Score and limit are the process's: they are set
    for the moment of the start, which needs no privilege, and so hold before the child can have
    children.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "toolbox-spawner", initializer=self._prepare)
        self._score = -1
        self._own = self._raised = 0
        self._locks = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def _prepare(self) -> None:
        if _cores:
            os.sched_setaffinity(0, _cores)
        with contextlib.suppress(OSError):
            self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self._own = int(os.pread(self._score, 16, 0))
            # With room above for the tags, where there is any.
            self._raised = max(self._own + 1, min(self._own + _SACRIFICE, 1001 - TAGS))
        self._locks = resource.getrlimit(_RLIMIT_LOCKS)

    def start(self, arguments: list[str], number: int, **options: Any) -> subprocess.Popen[Any]:
        """As subprocess.Popen."""
        return self._thread.submit(self._start, arguments, number, options).result()

    def _start(
        self, arguments: list[str], number: int, options: dict[str, Any]
    ) -> subprocess.Popen[Any]:
        self._set_score(min(1000, self._raised + number % TAGS))
        self._set_number(number)
        try:
            return subprocess.Popen(arguments, **options)
        finally:
            self._set_score(self._own)
            self._set_number(0)

    def _set_score(self, score: int) -> None:
        if self._score >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._score, b"%d" % score, 0)

    def _set_number(self, number: int) -> None:
        soft, hard = self._locks
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(_RLIMIT_LOCKS, (_FIRST_NUMBER + number if number else soft, hard))

    def tag(self, score: int) -> int | None:
        """The tag that a score tells of."""
        tag = score - self._raised
        # Where there is no room above, many are the same.
        room = self._score >= 0 and self._raised + TAGS <= 1001
        return tag if room and 0 <= tag < TAGS else None


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


def read_number(pid: int) -> int:
    """The ``number`` that :func:`popen` gave a process or one above it, 0 if it has none.

    Raises OSError, with an errno of :data:`GONE` if the process has ended.
    """
    for line in _read(f"/proc/{pid}/limits").splitlines():
        if line.startswith(b"Max file locks"):
            soft = line.split()[3]
            return max(0, int(soft) - _FIRST_NUMBER) if soft.isdigit() else 0
    return 0


def read_tag(pid: int) -> int | None:
    """``number % TAGS`` by the score that :func:`popen` gave a process or one above it, None if it
    has none. Raises as :func:`read_number`.
    """
    return _spawner.tag(int(_read(f"/proc/{pid}/oom_score_adj")))


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a thousand of them in a row
        return file.read() or b""


def popen(arguments: list[str], number: int = 0, **options: Any) -> subprocess.Popen[Any]:
    """``subprocess.Popen`` in a session of its own, on every core, and first to go when memory is
    short.

    A ``number`` from 1 to 2**61 is handed down to everything it starts, whatever that does to its
    environment, session, parent and descriptors: see :func:`read_number` and, for what PAM has
    given new limits, :func:`read_tag`.

    The options chosen keep CPython on its vfork path, which costs the same however large this
    process is; ``preexec_fn`` would leave it and is refused.
    """
    if "preexec_fn" in options:
        raise TypeError("preexec_fn forks the whole process; use a wrapper program")
    if "env" not in options:
        options["env"] = environment()
    return _spawner.start(arguments, number, start_new_session=True, **options)


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process (prctl(2), PR_SET_CHILD_SUBREAPER).

    So that what daemonises is still found, and reaped, wherever the service isn't PID 1.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents() -> dict[int, int]:
    """The parent of every process there is to see, zombies left out. Raises OSError."""
    found: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                text = Path(entry.path, "stat").read_text("ascii", "replace")
            except OSError as error:
                if error.errno in GONE or error.errno in HIDDEN:
                    continue
                raise
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
        try:
            kept = keep.union(*(descendants(pid) for pid in keep))
            targets = [pid for pid in descendants(os.getpid()) if pid not in kept]
        except OSError:  # No descriptor is left to look with, at this moment.
            time.sleep(0.01)
            continue
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

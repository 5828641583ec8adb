"""Processes: starting them at full width, finding a whole tree, and ending what is left of one.

Children of the service are started with :func:`popen`, so that they get every core (the service's
own threads may be pinned to one) and a session of their own.
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
from functools import partial
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


def _every_core() -> None:
    os.sched_setaffinity(0, _cores)


_spawner = ThreadPoolExecutor(1, "toolbox-spawner", initializer=_every_core)
"""The thread that starts children of a pinned service. A child inherits its parent's cores, and a
thread that changed its own for the moment would be moved to and fro between them, which takes
milliseconds where they are busy.
"""


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
    """``subprocess.Popen`` in a session of its own, on every core.

    The options chosen keep CPython on its vfork path, which costs the same however large this
    process is; ``preexec_fn`` would leave it and is refused.
    """
    if "preexec_fn" in options:
        raise TypeError("preexec_fn forks the whole process; use a wrapper program")
    if "env" not in options:
        options["env"] = environment()
    start = partial(subprocess.Popen, arguments, start_new_session=True, **options)
    return _spawner.submit(start).result() if _pinned else start()


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

"""Child processes: how to start one, what it inherits, and how to find what it has started.

Children of the service are started with :func:`popen`: they get every core (the threads of the
service may be pinned to one), their own session, and are killed before the service when memory is
short.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from collections.abc import MutableMapping
from typing import Any

from toolbox.linux.children import Call
from toolbox.linux.children import ChildProcess
from toolbox.linux.kept import forget
from toolbox.linux.kept import keep
from toolbox.linux.procfs import descendants
from toolbox.linux.spawner import TAGS
from toolbox.linux.spawner import Spawner
from toolbox.linux.spawner import read_number

__all__ = [
    "TAGS",
    "Call",
    "ChildProcess",
    "changing_environment",
    "descendants",
    "environment",
    "forget",
    "keep",
    "pin_to_one_core",
    "popen",
    "read_number",
    "read_tag",
    "start",
]

# A process has one, as it has one set of cores, one OOM score and one environment.
_spawner = Spawner()
_environment_lock = threading.Lock()
_variables: tuple[dict[bytes, bytes], dict[str, str]] = {}, {}
"""Those of :func:`environment`, as they were and decoded."""


def pin_to_one_core() -> None:
    """Keep this process's threads on one of its cores, if it has several.

    Two cores spend their time handing the GIL to and fro; one doesn't. Threads started later
    inherit it, children started with :func:`popen` don't. To be called before the first of them.
    """
    _spawner.pin_to_one_core()


def environment() -> dict[str, str]:
    """Return a copy of what children inherit, never in the middle of a change."""
    global _variables
    with _environment_lock:
        # Decoding forty of them takes 31 us; comparing them with those decoded before, 1 us.
        encoded = getattr(os.environ, "_data", None)
        if encoded is None:  # The attribute is CPython's own.
            return dict(os.environ)
        if encoded != _variables[0]:
            _variables = dict(encoded), dict(os.environ)
        return _variables[1].copy()


@contextlib.contextmanager
def changing_environment() -> Iterator[MutableMapping[str, str]]:
    """Yield ``os.environ`` for changes that :func:`environment` sees all of or none."""
    with _environment_lock:
        yield os.environ


def popen(arguments: list[str], number: int = 0, **options: Any) -> subprocess.Popen[Any]:
    """Start a process as ``subprocess.Popen`` does, in its own session, on every core, and first
    to be killed when memory is short.

    A ``number`` from 1 to 2**61 is inherited by everything it starts, even if that changes its
    environment, session, parent and descriptors: see :func:`read_number` and, for processes to
    which PAM has given new limits, :func:`read_tag`.

    The options chosen keep CPython on its vfork path, which costs the same however large this
    process is; ``preexec_fn`` would leave it and raises TypeError.
    """
    if "preexec_fn" in options:
        raise TypeError("preexec_fn forks the whole process; use a wrapper program")
    if "env" not in options:
        options["env"] = environment()
    return _spawner.popen(arguments, number, {"start_new_session": True, **options})


def start(call: Call, number: int) -> ChildProcess | subprocess.Popen[bytes]:
    """Start a process as :func:`popen` does, but one that needs nothing but descriptors: its
    streams, and those it is passed. For the many that live shortly. Raises OSError, ValueError.
    """
    return _spawner.start(call, number)


def read_tag(pid: int) -> int | None:
    """Return ``number % TAGS`` by the OOM score that :func:`popen` gave a process or an ancestor of
    it, None without one. Raises as :func:`read_number`.
    """
    return _spawner.read_tag(pid)

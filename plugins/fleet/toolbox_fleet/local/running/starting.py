"""Starting the service of a sandbox: a ``toolbox serve`` of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Container
from collections.abc import Iterator
from typing import Any

from toolbox.linux.procfs import read_process
from toolbox.processes import popen
from toolbox_fleet.local.records import Running
from toolbox_fleet.local.running.isolation import Cell
from toolbox_fleet.local.running.isolation import NoIsolation
from toolbox_fleet.local.running.tree import boot_id
from toolbox_fleet.times import format_time

BACKLOG = 2048
"""Connections that wait for a service that is starting."""

INFO_LIMIT = 30.0
"""Seconds in which bwrap must tell its pids."""


def command(descriptor: int, settings_file: str) -> list[str]:
    """Return the command of a service that listens on an inherited socket.

    It ignores PYTHON* variables and the modules in its work directory: both are the sandbox's.
    """
    program = [sys.executable, "-I", "-m", "toolbox"]
    # A bundle is started by its file: its packages are found by nobody else.
    if bundle := getattr(sys.modules.get("__main__"), "__pex__", None):
        program = [sys.executable, str(bundle)]
    return [*program, "serve", "--config", settings_file, "--fd", str(descriptor)]


def listen(preferred: int, avoided: Container[int] = ()) -> socket.socket:
    """Return a listening socket on loopback, on the port ``preferred`` if that is free.

    Else on one that isn't ``avoided``: the clients of another sandbox still know that, and show
    their token there.
    """
    with contextlib.ExitStack() as refused:
        while True:
            listener = _listen_on(preferred)
            if listener.getsockname()[1] not in avoided:
                return listener
            # Open until the end, so that the next is another one.
            refused.callback(listener.close)
            preferred = 0


def _listen_on(preferred: int) -> socket.socket:
    for port in (preferred, 0):
        listener = socket.socket()
        try:
            # Or connections of the time before its last stop would keep it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            if not port:
                raise
        else:
            return listener
    raise AssertionError("port 0 is either bound or raises")


def spawn(
    isolation: NoIsolation,
    cell: Cell,
    environment: dict[str, str],
    prefix: list[str],
    listener: socket.socket,
) -> tuple[subprocess.Popen[Any], Running]:
    """Start a service; return it at once, before it is ready. Raises OSError.

    ``prefix`` is a program that executes what follows it. Of ``listener`` the service has a copy.
    """
    with contextlib.ExitStack() as held:
        output = held.enter_context(_output(cell))
        info = held.enter_context(contextlib.closing(_Info()))
        inherited = [listener.fileno()]
        if isolation.own_processes:
            inherited += [info.writing, *(mount.descriptor for mount in cell.mounts)]
        process = popen(
            [
                *(*prefix, *isolation.wrapper(cell, info.writing)),
                *command(listener.fileno(), str(isolation.inside(cell.paths).settings)),
            ],
            env=environment,
            # bwrap finds its own way to the home.
            cwd=cell.paths.root if isolation.own_processes else cell.paths.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
        )
        inner = info.inner() if isolation.own_processes else 0
        port: int = listener.getsockname()[1]
        return process, _running(process.pid, inner, port, isolation.name)


def _running(pid: int, inner: int, port: int, isolation: str) -> Running:
    starts = {one: read_process(one) for one in (pid, inner) if one}
    return Running(
        pid=pid,
        started=_started(starts.get(pid)),
        boot_id=boot_id(),
        inner=inner,
        inner_started=_started(starts.get(inner)),
        port=port,
        isolation=isolation,
        since=format_time(),
    )


def _started(process: Any) -> int:
    return process.started if process is not None else 0


@contextlib.contextmanager
def _output(cell: Cell) -> Iterator[int]:
    """Yield the file for what the service says before it has a log, emptied."""
    path = cell.paths.output
    # The sandbox may have put anything in its place.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Info:
    """The pipe on which bwrap tells the pids of its processes."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC)

    def inner(self) -> int:
        """Return the pid of the first process of the new namespace, 0 if there is none."""
        # Ours is the last copy of that end once bwrap has ended without a word.
        os.close(self.writing)
        self.writing = -1
        text = b""
        while not text.rstrip().endswith(b"}"):
            if not select.select([self.reading], [], [], INFO_LIMIT)[0]:
                return 0
            data = os.read(self.reading, 1024)
            if not data:
                return 0
            text += data
        return int(json.loads(text)["child-pid"])

    def close(self) -> None:
        """Close both ends."""
        for end in (self.reading, self.writing):
            if end >= 0:
                os.close(end)

"""Starting a child by the function below ``subprocess.Popen``, which is private to CPython.

Of the processor's time a start takes 90 us then instead of 155: the class encodes each variable by
itself and prepares for much that no child of ours needs. Where a later Python's function takes
other arguments, the class is used.
"""

from __future__ import annotations

import os
import subprocess
import threading
from _posixsubprocess import fork_exec
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple


class Call(NamedTuple):
    """A program to start, with the descriptors that become its streams."""

    arguments: Sequence[str]
    cwd: str
    environment: Mapping[str, str]
    streams: tuple[int, int, int]
    pass_fds: tuple[int, ...] = ()


class ChildProcess:
    """A child, with the part of ``subprocess.Popen`` that launchers use. *Any thread.*"""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit status, the negative number of the signal that has ended it, or None
        while it runs.
        """
        with self._lock:
            return self._poll(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for the end, and return the exit status."""
        with self._lock:
            return self._poll(0)

    def _poll(self, options: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # As Popen: something else has waited for it.
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended. Raises OSError."""
        # It is reaped under the same lock, so the pid can't be another's.
        with self._lock:
            if self._poll(os.WNOHANG) is None:
                os.kill(self.pid, number)


def start(call: Call) -> ChildProcess | subprocess.Popen[bytes]:
    """Start a child in its own session. Raises OSError, and ValueError for a null byte.

    The descriptors 0 to 2 of this process must be open.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            pid = _fork(call, reading, writing)
        finally:
            os.close(writing)
        # It ends with execve(2), or there is a report.
        report = os.read(reading, 4096)
    except TypeError:
        return _start_by_class(call)
    finally:
        os.close(reading)
    if report:
        os.waitpid(pid, 0)
        raise _failure(report, call)
    return ChildProcess(pid)


def _fork(call: Call, reading: int, writing: int) -> int:
    stdin, stdout, stderr = call.streams
    kept = tuple(sorted({*call.pass_fds, writing}))
    pid: int = fork_exec(
        *(call.arguments, _executables(call), True, kept, call.cwd, _encoded(call.environment)),
        *(stdin, -1, -1, stdout, -1, stderr, reading, writing),
        True,  # Signals that Python ignores are handled as usual.
        True,  # A new session.
        *(-1, None, None, None, -1),  # No group of its own, user, groups, umask.
        None,  # type: ignore[arg-type]
        True,  # By vfork(2).
    )
    return pid


def _executables(call: Call) -> tuple[bytes, ...]:
    name = os.fsencode(call.arguments[0])
    if b"/" in name:
        return (name,)
    places = map(os.fsencode, os.get_exec_path(call.environment))
    return tuple(place + b"/" + name for place in places)


def _encoded(environment: Mapping[str, str]) -> list[bytes]:
    if not environment:
        return []
    # In one piece: 4 us for 35 variables instead of 21.
    lines = os.fsencode("\0".join([f"{name}={value}" for name, value in environment.items()]))
    encoded = lines.split(b"\0")
    if len(encoded) != len(environment) or "=" in "".join(environment):
        raise ValueError("a null byte, or a variable whose name contains =")
    return encoded


def _failure(report: bytes, call: Call) -> OSError:
    """Return the error that the child has reported: ``OSError:2:noexec`` for its directory, with
    nothing at the end for the program.
    """
    _, number, stage = report.split(b":", 2)
    code = int(number, 16)
    return OSError(code, os.strerror(code), call.cwd if stage else call.arguments[0])


def _start_by_class(call: Call) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr = call.streams
    return subprocess.Popen(
        call.arguments,
        cwd=call.cwd,
        env=call.environment,
        pass_fds=call.pass_fds,
        start_new_session=True,
        bufsize=0,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )

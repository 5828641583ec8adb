"""The inheritance that a master leaves to the next version of itself, which takes its place.

The pid stays, so the worker stays its child. The descriptors are inherited; the rest, secrets among
it, travels in a socket, which no other process can open by ``/proc/<pid>/fd``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import MutableMapping
from pathlib import Path

import msgspec

VARIABLE = "TOOLBOX_RELOAD"
"""The environment variable with the descriptor to read, or :data:`CHECK` and that of a listener."""

CHECK = "check:"

FORMAT = 1
"""Version of :class:`Inheritance`. A field that is new needs a default, and none may be renamed:
then an older version can be followed, too, which ignores what it doesn't know.
"""

HELD = frozenset(
    getattr(signal, f"SIG{name}")
    for name in ("HUP", "INT", "QUIT", "TERM", "TTIN", "TTOU", "USR1", "USR2", "WINCH", "CHLD")
)
"""Signals that wait until the new master can handle them: by default most of them would end it."""


class Secrets(msgspec.Struct, frozen=True):
    """The secrets in force, empty for none, and the token that was made up."""

    token: str = ""
    signing_key: str = ""
    caller_digest: str = ""
    generated: str = ""


class Inheritance(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the new master gets. Descriptors are numbers that both know."""

    listeners: list[int]
    secrets: Secrets = Secrets()
    format: int = FORMAT
    worker: int = 0
    """The pid of the worker; 0 in a check, which has none."""
    age: int = 1
    heartbeat: int = -1
    control: int = -1
    report: int = -1
    directory: str = ""
    """The directory that the first master was started in."""
    kept: list[tuple[int, int]] = []
    again: bool = False
    """True if another upgrade was asked for meanwhile."""

    @property
    def is_check(self) -> bool:
        """True if nothing is to be served: the settings and plugins are only loaded."""
        return not self.worker


def program() -> list[str]:
    """Return the command that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]


def leave(inheritance: Inheritance) -> None:
    """Become the next version of this program. Returns only by raising OSError."""
    ours, theirs = socket.socketpair()
    fds = [*inheritance.listeners, theirs.fileno()]
    fds += [inheritance.heartbeat, inheritance.control, inheritance.report]
    given = [fd for fd in fds if fd >= 0]
    came_from = Path.cwd()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    try:
        ours.sendall(msgspec.json.encode(inheritance))
        for fd in given:
            os.set_inheritable(fd, True)
        # Relative paths of the command line count from there, and `python -m` looks there first.
        os.chdir(inheritance.directory)
        environ = {**os.environ, VARIABLE: str(theirs.fileno())}
        os.execve(sys.executable, program(), environ)
    finally:
        # Only after a failure: everything is as before.
        for fd in given:
            os.set_inheritable(fd, False)
        with contextlib.suppress(OSError):
            os.chdir(came_from)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        ours.close()
        theirs.close()


def find_inheritance(environ: MutableMapping[str, str]) -> Inheritance | None:
    """Return what this process has inherited, None if it is no successor. Takes the variable out of
    ``environ``. Raises ValueError for a variable that no master has set, or for a format that this
    version doesn't know.
    """
    value = environ.pop(VARIABLE, None)
    if value is None:
        return None
    if value.startswith(CHECK):
        listener = int(value.removeprefix(CHECK))
        os.set_inheritable(listener, False)
        # Any text: it only has to be there, as one is where the service runs.
        return Inheritance(listeners=[listener], secrets=Secrets("not-the-token-of-the-service"))
    # The other end was closed by the execution, so the text ends.
    try:
        with socket.socket(fileno=int(value)) as sock:
            data = b"".join(iter(lambda: sock.recv(1 << 16), b""))
        found = msgspec.json.decode(data, type=Inheritance)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{VARIABLE} is set, but not by a service: {error}") from None
    if found.format != FORMAT:
        raise ValueError(f"{VARIABLE}: format {found.format}; this version reads {FORMAT}")
    for fd in (*found.listeners, found.heartbeat, found.control, found.report):
        if fd >= 0:
            os.set_inheritable(fd, False)
    return found


def handle_signals() -> None:
    """Let the signals come that have waited since :func:`leave`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)

"""The seam below the engine: how a program is started, signaled and ended.

The engine and everything above it know no process, only a :class:`Child`. A launcher for a place of
its own (a container, another machine) subclasses both Protocols and writes what has no default.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from signal import SIGTERM
from types import MappingProxyType
from typing import Any
from typing import NamedTuple
from typing import Protocol

from toolbox.processes import environment
from toolbox.settings.variables import home_directory
from toolbox_process.models import Limits

CREATE = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""Flags to open a file for output. Without a wait for the reader of a FIFO, and not emptied before
it is known what it is.
"""

SHORTAGE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""Errnos that pass by themselves; every other is a fault of what was to be started."""


class Counts(NamedTuple):
    """Processes killed for lack of memory, and those that could not be started for their number,
    since whenever the launcher counts from.
    """

    oom: int = 0
    pids: int = 0


class Pipes(NamedTuple):
    """The descriptors that become a program's streams; without ``stdin`` it has nothing to read.

    They are the caller's, who closes them after the start.
    """

    stdin: int | None
    stdout: int
    stderr: int


class TerminalSize(NamedTuple):
    """The size of a pseudo-terminal that becomes all three streams, in characters."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Program:
    """A program to start. ``job_id`` names the job that everything it starts belongs to.

    ``state`` are the directories of the service that the program must be able to use although a
    launcher may hide the others. ``user`` is empty for the launcher's choice. ``entrance`` is what
    a launcher of ours runs before anything else, to set the ``limits``.
    """

    job_id: str
    arguments: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    state: tuple[Path, ...] = field(default=())
    user: str = ""
    limits: Limits | None = None
    entrance: tuple[str, ...] = ()


class Started(Protocol):
    """The processes a shell has started since a moment. True if there are any."""

    def __bool__(self) -> bool:
        """Report whether there was any."""

    def signal(self, number: int) -> None:
        """Send a signal to all of it. Raises OSError."""

    def end(self, grace: float) -> list[int]:
        """End it as :meth:`Child.end_tree` does, and nothing else. Raises OSError."""


class Nothing(Started):
    """No processes, or none that the launcher could distinguish."""

    def __bool__(self) -> bool:
        return False

    def signal(self, number: int) -> None:
        """Do nothing."""

    def end(self, grace: float) -> list[int]:
        return []


class Child(Protocol):
    """A program that was started, and everything it starts. *Any thread* may call."""

    wait_fd: int = -1
    """A descriptor that is readable once the program has ended; -1 to have :meth:`poll` called
    every few milliseconds instead.
    """
    applied: Mapping[str, str] = MappingProxyType({})
    """The means by which each limit that was asked for is enforced, by its name; ``none`` if it
    isn't.
    """
    terminal: int = -1
    """The master's side of its pseudo-terminal, -1 without one."""

    @property
    def pid(self) -> int:
        """The number that clients are shown."""

    def poll(self) -> int | None:
        """Return the exit status, the negative number of the signal that has ended it, or None
        while it runs.
        """

    def signal(self, number: int) -> bool:
        """Send a signal to the program itself; return False if it has ended. Raises OSError."""

    def end_tree(
        self, grace: float, signals: Sequence[int], also: Sequence[Child] = ()
    ) -> list[int]:
        """Send ``signals`` to everything it has started, and to what the children ``also`` have;
        kill what is left after ``grace`` seconds.

        Return the pids of what lives on nevertheless. Blocks. Raises OSError if it can't look.
        """

    def signal_tree(self, number: int) -> bool:
        """Send a signal to everything it has started; return False if it has ended. Raises
        OSError.
        """
        return self.signal(number)

    def left(self) -> bool:
        """Report whether something it has started lives, once it has ended itself. Raises
        OSError.
        """
        return False

    def resize(self, size: TerminalSize) -> None:
        """Change the size of its terminal; the program gets SIGWINCH."""
        return

    def counts(self) -> Counts:
        """Return what the kernel has counted up to now."""
        return Counts()

    def close(self) -> None:
        """Hang up, and close ``wait_fd`` and ``terminal``; called once, after the end."""
        return

    # A session's shell. Without these its commands are canceled by ending the shell.

    def directory(self) -> str | None:
        """Return the working directory, None if it can't be seen. Raises OSError."""
        return None

    def snapshot(self) -> object:
        """Return a record of what it has started until now. Raises OSError."""
        return None

    def started_since(self, snapshot: object, tree: bool) -> Started:
        """Find its children that were not there at ``snapshot``, and with ``tree`` what descends
        from them. Raises OSError.
        """
        return Nothing()

    def left_since(self, snapshot: object) -> Started:
        """Find all that was started since ``snapshot``, wherever it has got to. Raises OSError."""
        return Nothing()

    def catches(self, number: int) -> bool:
        """Report whether it has a handler of the user's for a signal. Raises OSError."""
        return True


class Launcher(Protocol):
    """A way to start programs. *Any thread* may call.

    The class is called with the settings, and :meth:`check` with the same before.
    """

    chooses: frozenset[str] = frozenset()
    """The options of a :class:`Program` that it heeds, of ``user`` and ``limits``."""

    @classmethod
    def check(cls, settings: Any) -> None:
        """Raise ValueError, with the reason, if it can't work here with these settings."""
        return

    def start(self, program: Program, streams: Pipes | TerminalSize) -> Child:
        """Start a program. Raises OSError, SpawnFailed."""

    def end_all(self, running: Sequence[Child], ended: Sequence[Child], grace: float) -> list[int]:
        """End everything at the end of the service, also what programs that have ended have left.

        Return and raise as :meth:`Child.end_tree`.
        """
        children = (*running, *ended)
        return [pid for child in children for pid in child.end_tree(grace, (SIGTERM,))]

    def environment(self) -> dict[str, str]:
        """Return the variables that every program starts with."""
        return environment()

    def home(self) -> Path:
        """Return the home directory of the user that programs run as."""
        return home_directory()

    def start_directory(self, preferred: Path) -> Path:
        """Return ``preferred``, or where programs start if they can't start there."""
        return preferred

    def outfit(self, user: str, preferred: Path) -> tuple[Path, dict[str, str]]:
        """Return :meth:`start_directory` and :meth:`environment` of another user. Raises
        BadRequest.
        """
        return self.start_directory(preferred), self.environment()

    def create(self, path: Path, user: str) -> int:
        """Open a file for output, with the rights of programs. Raises OSError, BadRequest."""
        return os.open(path, CREATE, 0o666)

    def hide(self, find: Callable[[], Iterable[Path]]) -> None:
        """Keep programs from the files and directories that ``find()`` returns, as far as that can
        be done. They may become more.
        """
        return

    def share(self, path: Path | int) -> None:
        """Let programs use a file of the service, given by path or descriptor, or find what is in
        a directory. Raises OSError.
        """
        return

    def close(self) -> None:
        """Release what it holds."""
        return

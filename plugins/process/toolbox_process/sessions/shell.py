"""One shell process of a session: its own output, its directory and its input."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.spec import PIPE
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import Spool

OUTPUT = 64 * 1024
"""Bytes kept of the shell's own output."""


def start_shell(
    engine: Engine, session_id: str, arguments: list[str], state: Path, cwd: str | None
) -> Shell:
    """Return a shell that was started. Raises SpawnFailed, OSError."""
    spec = Spec(Kind.SHELL, session_id, arguments, cwd, stdin=PIPE, split=True, state=(state,))
    return Shell(engine.start(spec, new_spool(engine)), cwd)


def new_spool(engine: Engine) -> Spool:
    """Return a spool for a shell: its output is read as it arrives, so a ring of a block or two is
    enough.
    """
    return Spool(OUTPUT, OUTPUT, engine.state.path, keep_head=False)


class ShellStanding(NamedTuple):
    """The output of a shell so far, for another one to go on with: see :class:`Shell`."""

    complaint: bytes
    directory: str | None
    offset: int
    line: bytes


class Shell:
    """A running shell, last known to be in the directory ``cwd``."""

    def __init__(self, job: ProcessJob, cwd: str | None) -> None:
        self.job = job
        self.complaint = bytearray()
        """Its own standard error since this was last cleared."""
        self._directory = cwd
        self._offset = 0
        self._line = b""

    def standing(self) -> ShellStanding:
        """Return what another one goes on with."""
        return ShellStanding(bytes(self.complaint), self._directory, self._offset, self._line)

    @classmethod
    def resume(cls, job: ProcessJob, standing: ShellStanding) -> Shell:
        """Return the shell that goes on from there as ``job``."""
        shell = cls(job, standing.directory)
        shell.complaint += standing.complaint
        shell._offset, shell._line = standing.offset, standing.line
        return shell

    def listen(self, on_line: Callable[[bytes], object], on_end: Callable[[Shell], object]) -> None:
        """Call ``on_line(line)`` on the loop for each line of its standard output.

        Call ``on_end(self)``, once or more often, when it has ended.
        """

        def read() -> None:
            self._read(on_line)
            if self.job.done.is_set():
                on_end(self)

        self.job.follow(read)

    def _read(self, on_line: Callable[[bytes], object]) -> None:
        while (chunk := self.job.spool.read(self._offset, 1 << 16)).data:
            self._offset = chunk.end
            if chunk.stream == ERR:
                self.complaint += chunk.data[-OUTPUT:]
                # The end is kept: a shell in a loop may print without limit.
                del self.complaint[:-OUTPUT]
                continue
            # The last part may be an incomplete line.
            *lines, self._line = (self._line + chunk.data).split(b"\n")
            for line in lines:
                on_line(line)

    def write(self, line: bytes) -> None:
        """Write a line to its standard input. Raises InputClosed, InputFull."""
        assert self.job.stdin is not None
        self.job.stdin.write(line)

    @property
    def directory(self) -> str | None:
        """Its working directory, or the last one known."""
        # The shell may just have ended.
        with suppress(OSError):
            self._directory = self.job.child.directory() or self._directory
        return self._directory

    def find_directory(self, cwd: str) -> str:
        """Return ``cwd`` relative to the shell's directory. Raises OSError if it is not a
        directory.
        """
        path = str(Path(self.directory or "/", cwd))
        # Raises unless it is a directory that can be opened.
        with os.scandir(path):
            return path


class Carried(NamedTuple):
    """The state of a session's runner: a new one's, or one that goes on after an upgrade.

    ``token`` marks what the shell reports, unguessable, so that nothing else that it prints is
    taken for an exit status. ``scripts`` is the name of the directories of its commands. ``queue``
    and ``current`` are ids of commands.
    """

    token: str
    scripts: str
    shell: Shell | None = None
    number: int = 0
    ended: bool = False
    deleted: bool = False
    queue: Sequence[str] = ()
    current: str | None = None

    @classmethod
    def new(cls) -> Carried:
        """Return the state before there is a shell."""
        return cls(secrets.token_hex(8), secrets.token_hex(8))

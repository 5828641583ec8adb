"""Helpers for tests of this group, its backends and launchers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL

from toolbox.linux.procfs import is_alive
from toolbox.testing import DEADLINE
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Counts
from toolbox_process.engine.launcher import Launcher
from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.launcher import Program
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.spool import OUT

alive = is_alive


def eventually(
    condition: Callable[[], object], what: str = "it", deadline: float = DEADLINE
) -> None:
    """Wait until ``condition()`` is true."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in time"
        time.sleep(0.01)


def read_pid(file: Path) -> int:
    """The pid a command has written to ``file``, which may take a moment."""
    eventually(lambda: file.exists() and file.read_text().endswith("\n"), f"{file.name}")
    return int(file.read_text())


def open_files(pid: int) -> int:
    """Return the number of file descriptors the process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


class FakeChild(Child):
    """A program that a test controls: no process, no waiting."""

    def __init__(self, program: Program, streams: Pipes | TerminalSize) -> None:
        self.program = program
        self.signals: list[int] = []
        self.size = streams if isinstance(streams, TerminalSize) else None
        self.closed = False
        self.counted = Counts()
        self.survives: frozenset[int] = frozenset()
        """Signals that don't end it."""
        self._status: int | None = None
        # As a real program it has its own ends of the pipes, and closes them when it ends.
        self._fds: list[int] = []
        if isinstance(streams, Pipes):
            self._fds = [os.dup(streams.stdout), os.dup(streams.stderr)]
        self._stdin = os.dup(streams.stdin) if isinstance(streams, Pipes) and streams.stdin else -1
        self.wait_fd, self._exited = os.pipe2(os.O_CLOEXEC)

    @property
    def pid(self) -> int:
        return 1

    def write(self, data: bytes, stream: int = OUT) -> None:
        """Write to standard output or error."""
        os.write(self._fds[stream], data)

    def read(self) -> bytes:
        """Return what it was sent, waiting for some."""
        return os.read(self._stdin, 1 << 16)

    def exit(self, status: int) -> None:
        """End, with a status or the negative number of a signal."""
        if self._status is None:
            self._status = status
            for fd in (*self._fds, self._stdin):
                if fd >= 0:
                    os.close(fd)
            os.close(self._exited)  # Its reader sees the end, as with a pidfd.

    def poll(self) -> int | None:
        return self._status

    def signal(self, number: int) -> bool:
        if self._status is not None:
            return False
        self.signals.append(number)
        if number not in self.survives:
            self.exit(-number)
        return True

    def end_tree(
        self, grace: float, signals: Sequence[int], also: Sequence[Child] = ()
    ) -> list[int]:
        for number in (*signals, SIGKILL):
            self.signal(number)
        return [] if self._status is not None else [self.pid]

    def resize(self, size: TerminalSize) -> None:
        self.size = size

    def counts(self) -> Counts:
        return self.counted

    def close(self) -> None:
        self.closed = True
        os.close(self.wait_fd)


class FakeLauncher(Launcher):
    """A launcher in memory, for tests of what stands above it."""

    def __init__(self) -> None:
        self.children: list[FakeChild] = []
        self.error: OSError | None = None
        """Raised by the next start."""

    def start(self, program: Program, streams: Pipes | TerminalSize) -> FakeChild:
        if self.error is not None:
            raise self.error
        self.children.append(FakeChild(program, streams))
        return self.children[-1]

"""One shell process of a session: what it says, where it is and what it has started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from toolbox_process.engine import Engine
from toolbox_process.job import Kind
from toolbox_process.procfs import Process
from toolbox_process.procfs import catches
from toolbox_process.procfs import children
from toolbox_process.procfs import read_process
from toolbox_process.spec import Spec
from toolbox_process.spool import ERR
from toolbox_process.spool import Spool

OUTPUT = 64 * 1024
"""Bytes kept of what the shell itself says."""


class Shell:
    """Made with a running shell; raises SpawnFailed, OSError if there can be none."""

    def __init__(
        self, engine: Engine, session_id: str, arguments: list[str], cwd: str | None
    ) -> None:
        # What it says is read as it comes; a ring of a block or two is enough.
        spool = Spool(OUTPUT, OUTPUT, engine.state.path, keep_head=False)
        spec = Spec(Kind.SHELL, session_id, arguments, cwd, stdin=subprocess.PIPE, split=True)
        self.job = engine.start(spec, spool)
        self._engine = engine
        self.complaint = bytearray()
        """What it has said on its standard error since that was cleared."""
        self._place = cwd
        self._at = 0
        self._line = b""

    def listen(self, on_line: Callable[[bytes], object], on_end: Callable[[Shell], object]) -> None:
        """Call ``on_line(line)`` on the loop for each it writes to its standard output, and
        ``on_end(self)``, once or more often, when it has ended.
        """

        def read() -> None:
            self._read(on_line)
            if self.job.done.is_set():
                on_end(self)

        self.job.follow(read)

    def _read(self, on_line: Callable[[bytes], object]) -> None:
        while (chunk := self.job.spool.read(self._at, 1 << 16)).data:
            self._at = chunk.end
            if chunk.stream == ERR:
                self.complaint += chunk.data[-OUTPUT:]
                del self.complaint[:-OUTPUT]
                continue
            *lines, self._line = (self._line + chunk.data).split(b"\n")
            for line in lines:
                on_line(line)

    def write(self, line: bytes) -> None:
        """Let it read ``line``. Raises InputClosed, InputFull."""
        assert self.job.stdin is not None
        self.job.stdin.write(line)

    @property
    def place(self) -> str | None:
        """Its working directory, or the one it was last seen in."""
        with suppress(OSError):
            self._place = str(Path(f"/proc/{self.job.process.pid}/cwd").readlink())
        return self._place

    def find_directory(self, cwd: str) -> str:
        """``cwd`` from where the shell is. Raises OSError if it is no directory."""
        path = str(Path(self.place or "/", cwd))
        with os.scandir(path):
            return path

    def children(self) -> frozenset[int]:
        """The pids of what it has started. Raises OSError."""
        return children(self.job.process.pid)

    def started(self, before: frozenset[int]) -> list[Process]:
        """What it has started and were not there ``before``. Raises OSError."""
        if self.job.leader() is None:
            return []
        return [each for pid in self.children() - before if (each := read_process(pid))]

    def left_by(self, before: frozenset[int], since: tuple[int, int]) -> list[Process]:
        """All that was started by what it has started and is not of ``before``, with what has got
        away from there after ``since``. Raises OSError.
        """
        leader = self.job.leader()
        if leader is None:
            return []
        found: dict[int, bool] = {}
        members = self._engine.tree(self.job, leader).members()
        for each in members:  # The oldest first: parents before their children.
            if each.parent == leader.pid:
                found[each.pid] = each.pid not in before
            else:
                found[each.pid] = found.get(each.parent, (each.started, each.pid) > since)
        return [each for each in members if each.pid != leader.pid and found[each.pid]]

    def catches(self, number: int) -> bool:
        """Whether it has a trap for a signal. Raises OSError."""
        # For these two it has a handler of its own.
        own = number in (signal.SIGINT, signal.SIGCHLD)
        return not own and catches(self.job.process.pid, number)

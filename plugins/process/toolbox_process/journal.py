"""What the commands of sessions write, on disk beside memory, so that it outlives the worker.

Each session has a file of frames, one for each read and one for each beginning and end of a
command; it is opened once, as making a file takes longer than many a command. Nothing is synced:
what the kernel has taken, it keeps when the worker is killed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

from toolbox_process.job import Reason
from toolbox_process.spool import OUT
from toolbox_process.spool import Spool
from toolbox_process.statedir import StateDirectory

LIMIT = 16 * 1024 * 1024
"""Bytes of a command's output that are kept beyond the worker: the first ones."""

FILE = 2 * LIMIT
"""Bytes of a file after which the next begins. Two are kept, so whatever runs is in them whole."""

SESSION = "session"
"""The file that holds a session's id."""

LOST = b"\n[... what came after this was not kept over the restart ...]\n"

# Kinds of frames, beside OUT and ERR.
BEGIN = 2
END = 3
CUT = 4

FRAME = struct.Struct("!BII")
"""Kind, number of the command in its session, length of what follows."""

ROOM = 64
"""Bytes behind what a command begins with, for its end: a disk that is full has no other."""

log = logging.getLogger("toolbox")


class Journals:
    """Those of all sessions of this worker, in a directory that the next one finds."""

    def __init__(self, directory: StateDirectory, total: int) -> None:
        self.directory = directory
        self._left = total
        self._lock = threading.Lock()
        self._number = 0
        self._failed = False

    def open(self, session_id: str) -> SessionJournal:
        """A session's."""
        with self._lock:
            self._number += 1
            return SessionJournal(self, f"{self._number:08}", session_id)

    def take(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes, which are counted then."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Undo :meth:`take`."""
        with self._lock:
            self._left += size

    def fail(self, error: OSError) -> None:
        """Say once that there is no disk for this; nothing else depends on it."""
        if not self._failed:
            self._failed = True
            log.warning("logs of sessions may not outlive a killed worker: %s", error.strerror)

    def close(self) -> None:
        """Delete all."""
        self.directory.close()


class SessionJournal:
    """One session's. *Any thread.*"""

    def __init__(self, journals: Journals, name: str, session_id: str) -> None:
        self._journals = journals
        self._name = name
        self._session_id = session_id
        self._directory: Path | None = None
        self._files: list[tuple[Path, int]] = []
        self._fd = -1
        self._size = 0
        self._number = 0
        self._waiting: dict[int, bytes] = {}
        self._rooms: dict[int, tuple[Path, int]] = {}
        self._removed = False
        self._lock = threading.Lock()

    def create(self) -> None:
        """Note that there is such a session; where that can't be done, it has no journal."""
        with self._lock:
            if not self._removed:
                try:
                    self._next_file()
                except OSError as error:
                    self._journals.fail(error)
                    self._removed = True

    def begin(self, command_id: str, text: str) -> Journal:
        """That of a command, whose turn may come later."""
        begin = json.dumps([command_id, text]).encode() + b" " * ROOM
        with self._lock:
            self._number += 1
            self._waiting[self._number] = begin
            self._write(BEGIN, self._number, begin)
            return Journal(self, self._number)

    def write(self, kind: int, number: int, data: bytes) -> bool:
        """Add a frame; False if there is no room for it."""
        with self._lock:
            self._waiting.pop(number, None)
            return self._write(kind, number, data)

    def _write(self, kind: int, number: int, data: bytes) -> bool:
        if self._removed:
            return False
        try:
            if self._size > FILE:
                self._next_file()
            return self._append(kind, number, data)
        except OSError as error:
            self._journals.fail(error)
            return False

    def _append(self, kind: int, number: int, data: bytes) -> bool:
        size = FRAME.size + len(data)
        if not self._journals.take(size):
            return False
        written = 0
        try:
            written = os.writev(self._fd, (FRAME.pack(kind, number, len(data)), data))
        finally:
            if written != size:
                self._journals.give_back(size)
        if written != size:
            os.ftruncate(self._fd, self._size)  # What follows must begin where a frame does.
            return False
        self._size += size
        if kind == BEGIN:
            self._rooms[number] = self._files[-1][0], self._size - ROOM
        return True

    def conclude(self, number: int, kind: int, end: bytes) -> bool:
        """Write how a command has ended so far, in the room for it if there is no other."""
        written = self.write(kind, number, end)
        with self._lock:
            room = self._rooms.pop(number, None) if kind == END else self._rooms.get(number)
            if written or room is None or self._removed:
                return written
            path, at = room
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            except OSError:
                return False
            try:
                return os.pwrite(fd, end.ljust(ROOM), at) == ROOM
            except OSError:
                return False
            finally:
                os.close(fd)

    def _make_directory(self) -> Path:
        for passed in count():
            directory = self._journals.directory.path(passed) / self._name
            try:
                directory.mkdir(0o700)
                (directory / SESSION).write_text(json.dumps(self._session_id))
            except OSError:
                shutil.rmtree(directory, ignore_errors=True)
            else:
                return directory
        raise AssertionError("unreachable")

    def _next_file(self) -> None:
        if self._directory is None:
            self._directory = self._make_directory()
        path = self._directory / f"{len(self._files):08}"
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
            self._files[-1] = (self._files[-1][0], self._size)
        self._fd, self._size = fd, 0
        self._files.append((path, 0))
        if len(self._files) > 2:
            old, size = self._files[-3]
            old.unlink(missing_ok=True)
            self._journals.give_back(size)
            self._files[-3] = (old, 0)
        # What waits may do so for longer than its file is kept. Of what has begun the whole is kept
        # while it runs, and nothing once its beginning is gone.
        for number, begin in list(self._waiting.items()):
            self._append(BEGIN, number, begin)

    def remove(self) -> None:
        """Delete it, and keep no more."""
        with self._lock:
            self._removed = True
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
                self._journals.give_back(self._size + sum(size for _, size in self._files))


class Journal:
    """One command's. Used on the loop."""

    def __init__(self, session: SessionJournal, number: int) -> None:
        self._session = session
        self._number = number
        self._size = 0
        self._cut = False
        self._told = False

    def append(self, data: bytes, stream: int) -> None:
        """Add what was read, unless that is more than is kept."""
        self._size += FRAME.size + len(data)
        if not self._cut:
            kept = self._size <= LIMIT and self._session.write(stream, self._number, data)
            self._cut = not kept
        if self._cut and not self._told:
            self._told = self._session.conclude(self._number, CUT, _end(None, "", True))

    def finish(self, exit_code: int, reason: Reason) -> None:
        """It has ended, and its output is complete."""
        end = _end(exit_code, reason.value, self._cut)
        self._session.conclude(self._number, END, end)


def _end(exit_code: int | None, reason: str, cut: bool) -> bytes:
    return json.dumps([exit_code, reason, cut]).encode()


class JournaledSpool(Spool):
    """A spool whose beginning is in a journal, too."""

    def __init__(
        self, memory: int, limit: int, directory: Callable[[int], Path], journal: Journal
    ) -> None:
        super().__init__(memory, limit, directory)
        self._journal = journal

    def append(self, data: bytes, stream: int = OUT) -> None:
        super().append(data, stream)
        if data:
            self._journal.append(data, stream)

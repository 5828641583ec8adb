"""The journals of sessions.

Each session has a file of frames, one for each read and one for each beginning and end of a
command. The file is opened once, since creating one takes longer than many commands. Nothing is
synced: what the kernel has accepted survives the death of the worker (but not of the machine).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import threading
from itertools import count
from pathlib import Path
from typing import NamedTuple

from toolbox_process.engine.state import StateDirectory

LIMIT = 16 * 1024 * 1024
"""Bytes of a command's output that are kept, frames included: the first ones."""

FILE = 2 * LIMIT
"""Bytes of a file after which the next one begins.

Two files are kept, so everything of a running command is in them: it is half a file at most.
"""

SESSION = "session"
"""Name of the file that holds the session's id."""

# Part of the output, and so of the wire.
LOST = b"\n[... what came after this was not kept over the restart ...]\n"

# Kinds of frames, beside OUT and ERR.
BEGIN = 2
END = 3
CUT = 4

FRAME = struct.Struct("!BII")
"""Header of a frame: kind, number of the command in its session, length of the content."""

ROOM = 64
"""Bytes reserved in a BEGIN frame for the command's end, which must fit even on a full disk."""

log = logging.getLogger("toolbox")


class SessionStanding(NamedTuple):
    """The journal of a session, for another one to go on with: see :class:`SessionJournal`."""

    name: str
    directory: Path | None
    files: list[tuple[Path, int]]
    fd: int
    size: int
    number: int
    waiting: dict[int, bytes]
    rooms: dict[int, tuple[Path, int]]
    removed: bool


class Journals:
    """The journals of this worker, in a directory that the next worker finds.

    They take ``total`` bytes at most. *Any thread.*
    """

    def __init__(self, directory: StateDirectory, total: int) -> None:
        self.directory = directory
        self._left = total
        self._lock = threading.Lock()
        self._number = 0
        self._reported = False

    def standing(self) -> tuple[int, int]:
        """Return the bytes that are left, and the number of the last session."""
        return self._left, self._number

    def resume(self, left: int, number: int) -> None:
        """Go on from there."""
        self._left, self._number = left, number

    def open(self, session_id: str) -> SessionJournal:
        """Return a new session's journal, of which nothing is on disk yet."""
        with self._lock:
            self._number += 1
            return SessionJournal(self, f"{self._number:08}", session_id)

    def reserve(self, size: int) -> bool:
        """Reserve ``size`` bytes of the total; False if there are not as many left."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def release(self, size: int) -> None:
        """Release reserved bytes."""
        with self._lock:
            self._left += size

    def report(self, error: OSError) -> None:
        """Log the first error; nothing else depends on journals."""
        if not self._reported:
            self._reported = True
            log.warning("logs of sessions may not outlive a killed worker: %s", error.strerror)

    def close(self) -> None:
        """Delete all journals."""
        self.directory.close()


class SessionJournal:
    """The journal of one session. *Any thread.*"""

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

    def standing(self) -> SessionStanding:
        """Return what another journal goes on with."""
        with self._lock:
            files, waiting, rooms = list(self._files), dict(self._waiting), dict(self._rooms)
            place = self._name, self._directory, files, self._fd
            return SessionStanding(*place, self._size, self._number, waiting, rooms, self._removed)

    @classmethod
    def resume(
        cls, journals: Journals, session_id: str, standing: SessionStanding
    ) -> SessionJournal:
        """Return the journal that goes on from there."""
        journal = cls(journals, standing.name, session_id)
        journal._directory, journal._files = standing.directory, standing.files
        journal._fd, journal._size = standing.fd, standing.size
        journal._number, journal._removed = standing.number, standing.removed
        journal._waiting, journal._rooms = standing.waiting, standing.rooms
        return journal

    def create(self) -> None:
        """Create the first file. A session for which that fails has no journal."""
        with self._lock:
            if not self._removed:
                try:
                    self._next_file()
                except OSError as error:
                    self._journals.report(error)
                    self._removed = True

    def begin(self, command_id: str, text: str) -> int:
        """Return the number of a new command, which may have to wait before it runs."""
        begin = json.dumps([command_id, text]).encode() + b" " * ROOM
        with self._lock:
            self._number += 1
            self._waiting[self._number] = begin
            self._write(BEGIN, self._number, begin)
            return self._number

    def write(self, kind: int, number: int, data: bytes) -> bool:
        """Append a frame; False if there is no room for it."""
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
            self._journals.report(error)
            return False

    def _append(self, kind: int, number: int, data: bytes) -> bool:
        size = FRAME.size + len(data)
        if not self._journals.reserve(size):
            return False
        written = 0
        try:
            # In one call, so that a killed worker leaves at most its end in part.
            written = os.writev(self._fd, (FRAME.pack(kind, number, len(data)), data))
        finally:
            if written != size:
                self._journals.release(size)
        if written != size:
            os.ftruncate(self._fd, self._size)  # The next frame must follow a whole one.
            return False
        self._size += size
        if kind == BEGIN:
            self._rooms[number] = self._files[-1][0], self._size - ROOM
        return True

    def note_end(self, number: int, kind: int, end: bytes) -> bool:
        """Append a frame about a command's end or, on a full disk, put it into its BEGIN frame."""
        written = self.write(kind, number, end)
        with self._lock:
            room = self._rooms.pop(number, None) if kind == END else self._rooms.get(number)
            if written or room is None or self._removed:
                return written
            path, offset = room
            try:
                fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            except OSError:
                return False
            try:
                return os.pwrite(fd, end.ljust(ROOM), offset) == ROOM
            except OSError:
                return False
            finally:
                os.close(fd)

    def _make_directory(self) -> Path:
        # One place after the other, until there is none: then path() raises.
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
            self._journals.release(size)
            self._files[-3] = (old, 0)
        # A command may wait for longer than its file is kept, so its beginning is written again. Of
        # one that runs everything is in the two files; it is forgotten with its beginning.
        for number, begin in list(self._waiting.items()):
            self._append(BEGIN, number, begin)

    def remove(self) -> None:
        """Delete the journal, and write nothing more."""
        with self._lock:
            self._removed = True
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
                self._journals.release(self._size + sum(size for _, size in self._files))

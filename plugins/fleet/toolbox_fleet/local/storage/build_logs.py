"""The output of image builds: kept as long as the snapshot, and followed while it is written."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from toolbox_fleet.local.layout import Layout

KIND = "builds"

LIMIT = 16 * 1024**2
"""Bytes of a log at most: a command that writes for ever must not fill the disk."""

_PIECE = 64 * 1024

_CUT = b"\n[the log is longer than it is kept]\n"


class BuildLogs:
    """The logs of all builds, by the ids of their snapshots."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._changed = threading.Condition()
        self._going: set[str] = set()
        """Builds whose logs grow, or will."""

    def announce(self, identity: str) -> None:
        """Let readers wait for a build that is about to begin."""
        with self._changed:
            self._going.add(identity)

    @contextlib.contextmanager
    def writing(self, identity: str) -> Iterator[Callable[[bytes], None]]:
        """Give a function that appends to the log of a build, which ends with the block."""
        place = self._place(identity)
        try:
            self._layout.make(place.parent)
            with place.open("wb", buffering=0) as file:
                room = LIMIT

                def write(data: bytes) -> None:
                    nonlocal room
                    if room <= 0:
                        return
                    file.write(data[:room] if len(data) <= room else data[:room] + _CUT)
                    room -= len(data)
                    with self._changed:
                        self._changed.notify_all()

                yield write
        finally:
            self.end(identity)

    def end(self, identity: str) -> None:
        """Let nobody wait for more of a log."""
        with self._changed:
            self._going.discard(identity)
            self._changed.notify_all()

    def read(self, identity: str, follow: bool) -> Iterator[bytes]:
        """Yield the log of a build so far, or with ``follow`` up to its end."""
        place, position = self._place(identity), 0
        while True:
            # Before the look: what is written between the two is found by it.
            with self._changed:
                is_going = follow and identity in self._going
            if piece := _piece(place, position):
                position += len(piece)
                yield piece
            elif not is_going:
                return
            else:
                self._wait(identity, place, position)

    def _wait(self, identity: str, place: Path, position: int) -> None:
        """Wait until a log has more than ``position`` bytes, or ends."""
        with self._changed:
            while identity in self._going and not _piece(place, position):
                self._changed.wait()

    def discard(self, identity: str) -> None:
        """Remove the log of a build, if there is one."""
        self._place(identity).unlink(missing_ok=True)

    def present(self) -> set[str]:
        """Return the ids of all builds that have a log."""
        return self._layout.present(KIND)

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._going.clear()
            self._changed.notify_all()

    def _place(self, identity: str) -> Path:
        return self._layout.place(KIND, identity)


def _piece(place: Path, position: int) -> bytes:
    try:
        with place.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), _PIECE, position)
    # Not begun, or removed with its snapshot.
    except FileNotFoundError:
        return b""

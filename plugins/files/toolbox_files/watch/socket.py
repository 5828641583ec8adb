"""Sending changes in a directory to a WebSocket.

The kernel queues the events. While a client is slow they stay in that queue, and if it overflows
the client gets an ``overflow`` event. A watch has no thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from toolbox.atomic.staging import PRIVATE_NAME
from toolbox.errors import NotSupported
from toolbox.errors import Unavailable
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox_files.errors import file_errors
from toolbox_files.models import Change
from toolbox_files.models import Event
from toolbox_files.names import absolute
from toolbox_files.names import to_bytes
from toolbox_files.names import to_text
from toolbox_files.watch import inotify
from toolbox_files.watch.inotify import Inotify
from toolbox_files.watch.inotify import InotifyEvent
from toolbox_files.watch.remote import refuse_remote

if TYPE_CHECKING:
    from toolbox.sockets.handler import Socket

_NAMELESS = re.compile("#[0-9]+")
"""The inode number by which inotify reports a file without a name (``O_TMPFILE``)."""

_EVENTS: tuple[tuple[int, Event], ...] = (
    (inotify.CREATE | inotify.MOVED_TO, "created"),
    (inotify.DELETE | inotify.MOVED_FROM, "deleted"),
    (inotify.MODIFY, "modified"),
    (inotify.ATTRIB, "attributes"),
)


class WatchSocket(SocketHandler):
    """Sends changes at and below ``path``: lists of :class:`Change` as JSON.

    Staged files (:mod:`toolbox.atomic.staging`) are not reported before they have their final
    name: a file that is replaced is reported once, as ``created``.

    Raises FileNotFound and the like, Conflict for a remote file system unless ``force``,
    Unavailable at the limit of watches, NotSupported if the kernel lacks inotify.
    """

    def __init__(
        self, path: Path, recursive: bool, force: bool, loop: Loop, pool: Executor
    ) -> None:
        self._root = absolute(path)
        self._recursive = recursive
        self._loop = loop
        self._pool = pool
        self._ws: Socket | None = None
        self._removed = False
        self._private_cookie = 0
        self._overflow = Change(event="overflow", path=self._root)
        # Guards the descriptor, which is closed on the loop while the pool may add to it.
        self._lock = threading.Lock()
        self._paths: dict[int, str] = {}
        with file_errors(path):
            path.stat()
            if not force:
                refuse_remote(path)
            self._inotify = _start()
            try:
                # By its full path, so that the paths found in it are full, too.
                for directory in self._tree(os.fsdecode(to_bytes(self._root))):
                    self._add(directory)
            except OSError as error:
                self._inotify.close()
                if error.errno == errno.ENOSPC:
                    raise Unavailable("reached the limit of inotify watches") from None
                raise

    def _tree(self, top: str) -> Iterator[str]:
        yield top
        pending = [top] if self._recursive and Path(top).is_dir() else []
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    below = [entry.path for entry in entries if _is_public_directory(entry)]
            except OSError:
                continue  # It was deleted, or may not be read.
            pending += below
            yield from below

    def _add(self, path: str) -> None:
        with self._lock:
            if self._inotify.fd >= 0:
                self._paths[self._inotify.add(path, inotify.ALL_CHANGES)] = path

    # On the request's thread, then on the loop

    def opened(self, ws: Socket) -> None:
        self._ws = ws
        self._loop.call_soon(self._start)

    def _start(self) -> None:
        if self._inotify.fd >= 0:
            self._loop.add(self._inotify.fd, IN, self._ready)

    def drained(self, ws: Socket) -> None:
        if self._inotify.fd >= 0:
            self._loop.modify(self._inotify.fd, IN)

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        with self._lock:
            self._loop.remove(self._inotify.fd)
            self._inotify.close()

    def _ready(self, events: int) -> None:
        changes: list[Change] = []
        for event in self._inotify.read():
            for change in self._changes(event):
                # A file that is being written has many equal events in a row.
                if not changes or change != changes[-1]:
                    changes.append(change)
        self._send(changes)
        if self._removed and self._ws is not None:
            self._ws.close(NORMAL, "the watched path was deleted")
        elif self._ws is not None and not self._ws.writable:
            self._loop.modify(self._inotify.fd, 0)

    def _changes(self, event: InotifyEvent) -> Iterator[Change]:
        if event.mask & inotify.Q_OVERFLOW:
            yield self._overflow
            return
        directory = self._paths.get(event.watch)
        if directory is None:
            return
        if event.mask & inotify.IGNORED:
            with self._lock:
                self._paths.pop(event.watch, None)
        elif event.mask & (inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT):
            # Directories below the root are reported by their parents' watches.
            if to_text(directory) == self._root and not self._removed:
                yield self._root_change(event, directory)
        elif PRIVATE_NAME.fullmatch(event.name):
            self._private_cookie = event.cookie or self._private_cookie
        else:
            path = os.path.join(directory, event.name) if event.name else directory  # noqa: PTH118
            if not _has_no_name(event, path):
                yield from self._entry_changes(event, path)

    def _root_change(self, event: InotifyEvent, directory: str) -> Change:
        self._removed = not self._is_replaced(event, directory)
        return Change(event="deleted" if self._removed else "created", path=self._root)

    def _entry_changes(self, event: InotifyEvent, path: str) -> Iterator[Change]:
        is_dir = bool(event.mask & inotify.ISDIR)
        # A staged file is renamed into place: the other half of that rename isn't reported.
        cookie = event.cookie if event.cookie != self._private_cookie else 0
        if is_dir and event.mask & inotify.MOVED_FROM:
            self._forget(path)
        if is_dir and self._recursive and event.mask & (inotify.CREATE | inotify.MOVED_TO):
            self._pool.submit(self._watch_new, path)
        for mask, name in _EVENTS:
            if event.mask & mask:
                yield Change(event=name, path=to_text(path), is_dir=is_dir, cookie=cookie)

    def _is_replaced(self, event: InotifyEvent, path: str) -> bool:
        """Report whether another file took the place of the watched one; watch that then."""
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                return False
            self._add(path)
        except OSError:
            return False
        if event.mask & inotify.MOVE_SELF:
            # The old file still exists under another name.
            with self._lock:
                self._inotify.remove(event.watch)
        return True

    def _forget(self, path: str) -> None:
        """Stop watching a directory that was moved, and those below it."""
        with self._lock:
            for watch, known in list(self._paths.items()):
                if known == path or known.startswith(path + "/"):
                    self._inotify.remove(watch)
                    del self._paths[watch]

    # On the pool

    def _watch_new(self, top: str) -> None:
        """Watch a new directory and those below it, and report the entries that it already has.

        An entry created between the two is reported twice, but none is missed.
        """
        try:
            for directory in self._tree(top):
                self._add(directory)
                with os.scandir(directory) as entries:
                    public = [entry for entry in entries if not PRIVATE_NAME.fullmatch(entry.name)]
                self._send([_created(entry) for entry in public])
        except FileNotFoundError:
            pass  # Deleted again, which its parent's watch reports.
        except OSError:
            self._send([self._overflow])

    def _send(self, changes: list[Change]) -> None:
        if changes and self._ws is not None:
            with contextlib.suppress(SocketClosed):
                self._ws.send(msgspec.json.encode(changes).decode())


def _start() -> Inotify:
    try:
        return Inotify()
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        raise NotSupported("this kernel doesn't support inotify") from None


def _is_public_directory(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and not PRIVATE_NAME.fullmatch(entry.name)


def _has_no_name(event: InotifyEvent, path: str) -> bool:
    if not _NAMELESS.fullmatch(event.name) or event.mask & (inotify.DELETE | inotify.MOVED_FROM):
        return False
    return not os.path.lexists(path)


def _created(entry: os.DirEntry[str]) -> Change:
    is_dir = entry.is_dir(follow_symlinks=False)
    return Change(event="created", path=to_text(entry.path), is_dir=is_dir)

"""Telling a WebSocket what changes in a directory.

The kernel queues the changes; a client that is slow leaves them there, and when the queue has
been full it is told so. No thread belongs to a watch.
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

from toolbox.errors import Conflict
from toolbox.errors import NotImplemented_
from toolbox.errors import Unavailable
from toolbox.handler import NORMAL
from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox.loop import IN
from toolbox.loop import Loop
from toolbox.staging import PRIVATE_NAME
from toolbox_files import inotify
from toolbox_files.errors import file_errors
from toolbox_files.inotify import Inotify
from toolbox_files.inotify import News
from toolbox_files.models import Change
from toolbox_files.models import Event
from toolbox_files.names import absolute
from toolbox_files.names import to_bytes
from toolbox_files.names import to_text

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

_REMOTE = ("nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse", "virtiofs", "glusterfs", "lustre")
"""File systems that others change without this kernel's knowledge; beginnings of their names."""

_NAMELESS = re.compile("#[0-9]+")

_EVENTS: tuple[tuple[int, Event], ...] = (
    (inotify.CREATE | inotify.MOVED_TO, "created"),
    (inotify.DELETE | inotify.MOVED_FROM, "deleted"),
    (inotify.MODIFY, "modified"),
    (inotify.ATTRIB, "attributes"),
)


class Watch(SocketHandler):
    """Sends what changes at and below ``path``: lists of :class:`Change` as JSON.

    Files on their way to a name (:mod:`toolbox.staging`) are nobody's business before they have it:
    a file that is replaced is ``created`` by its own name, and nothing else is told.

    Raises FileNotFound and its like, Conflict for a remote file system unless ``force``,
    Unavailable if the kernel lets nobody watch more, NotImplemented_ if it can't tell of changes.
    """

    def __init__(
        self, path: Path, recursive: bool, force: bool, loop: Loop, pool: Executor
    ) -> None:
        self._root = absolute(path)
        self._recursive = recursive
        self._loop = loop
        self._pool = pool
        self._ws: WebSocket | None = None
        self._gone = False
        self._private = 0
        self._overflow = Change(event="overflow", path=self._root)
        # Guards the descriptor, which is closed on the loop while the pool may add to it.
        self._lock = threading.Lock()
        self._paths: dict[int, str] = {}
        with file_errors(path):
            path.stat()
            if not force:
                _refuse_remote(path)
            self._inotify = _start()
            try:
                # By its full name: what is found in it has its full name then, too.
                for directory in self._tree(os.fsdecode(to_bytes(self._root))):
                    self._add(directory)
            except OSError as error:
                self._inotify.close()
                if error.errno == errno.ENOSPC:
                    raise Unavailable("the limit of inotify watches is reached") from None
                raise

    def _tree(self, top: str) -> Iterator[str]:
        yield top
        pending = [top] if self._recursive and Path(top).is_dir() else []
        while pending:
            directory = pending.pop()
            try:
                with os.scandir(directory) as entries:
                    below = [each.path for each in entries if _is_public_directory(each)]
            except OSError:
                continue  # It has gone, or may not be read: nothing to see there.
            pending += below
            yield from below

    def _add(self, path: str) -> None:
        with self._lock:
            if self._inotify.fd >= 0:
                self._paths[self._inotify.add(path, inotify.CHANGES)] = path

    # On the request's thread, then on the loop

    def opened(self, ws: WebSocket) -> None:
        self._ws = ws
        self._loop.call_soon(self._start)

    def _start(self) -> None:
        if self._inotify.fd >= 0:
            self._loop.add(self._inotify.fd, IN, self._ready)

    def drained(self, ws: WebSocket) -> None:
        if self._inotify.fd >= 0:
            self._loop.modify(self._inotify.fd, IN)

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        with self._lock:
            self._loop.remove(self._inotify.fd)
            self._inotify.close()

    def _ready(self, events: int) -> None:
        changes: list[Change] = []
        for news in self._inotify.read():
            for change in self._changes(news):
                # A file that is written to is news once in a lot.
                if not changes or change != changes[-1]:
                    changes.append(change)
        self._send(changes)
        if self._gone and self._ws is not None:
            self._ws.close(NORMAL, "what was watched is gone")
        elif self._ws is not None and not self._ws.writable:
            self._loop.modify(self._inotify.fd, 0)

    def _changes(self, news: News) -> Iterator[Change]:
        if news.mask & inotify.Q_OVERFLOW:
            yield self._overflow
            return
        directory = self._paths.get(news.watch)
        if directory is None:
            return
        if news.mask & inotify.IGNORED:
            with self._lock:
                self._paths.pop(news.watch, None)
            return
        if news.mask & (inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT):
            # Of other directories their parents tell.
            if to_text(directory) == self._root and not self._gone:
                self._gone = not self._is_replaced(news, directory)
                yield Change(event="deleted" if self._gone else "created", path=self._root)
            return
        path = os.path.join(directory, news.name) if news.name else directory  # noqa: PTH118
        if PRIVATE_NAME.fullmatch(news.name):
            self._private = news.cookie or self._private
            return
        if _has_no_name(news, path):
            return
        is_dir = bool(news.mask & inotify.ISDIR)
        # The other half of a renaming that isn't told.
        cookie = news.cookie if news.cookie != self._private else 0
        if is_dir and news.mask & inotify.MOVED_FROM:
            self._forget(path)
        if is_dir and self._recursive and news.mask & (inotify.CREATE | inotify.MOVED_TO):
            self._pool.submit(self._watch_new, path)
        for mask, event in _EVENTS:
            if news.mask & mask:
                yield Change(event=event, path=to_text(path), is_dir=is_dir, cookie=cookie)

    def _is_replaced(self, news: News, path: str) -> bool:
        """Whether there is another file in the place of the one that was watched; it is, now."""
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                return False
            self._add(path)
        except OSError:
            return False
        if news.mask & inotify.MOVE_SELF:
            with self._lock:
                self._inotify.remove(news.watch)
        return True

    def _forget(self, path: str) -> None:
        """A directory has another name now, or is elsewhere."""
        with self._lock:
            for watch, known in list(self._paths.items()):
                if known == path or known.startswith(path + "/"):
                    self._inotify.remove(watch)
                    del self._paths[watch]

    # On the pool

    def _watch_new(self, top: str) -> None:
        """Watch a new directory and those below it, and tell of what was put there before: it may
        be told twice.
        """
        try:
            for directory in self._tree(top):
                self._add(directory)
                with os.scandir(directory) as entries:
                    public = [each for each in entries if not PRIVATE_NAME.fullmatch(each.name)]
                self._send([_created(entry) for entry in public])
        except FileNotFoundError:
            pass  # Gone again; its parent tells so.
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
        raise NotImplemented_("the kernel has no inotify, so it can't tell of changes") from None


def _is_public_directory(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and not PRIVATE_NAME.fullmatch(entry.name)


def _has_no_name(news: News, path: str) -> bool:
    """Whether it is about a file without a name (``O_TMPFILE``), which is called by its inode."""
    if not _NAMELESS.fullmatch(news.name) or news.mask & (inotify.DELETE | inotify.MOVED_FROM):
        return False
    return not os.path.lexists(path)


def _created(entry: os.DirEntry[str]) -> Change:
    is_dir = entry.is_dir(follow_symlinks=False)
    return Change(event="created", path=to_text(entry.path), is_dir=is_dir)


def _refuse_remote(path: Path) -> None:
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return  # No /proc, so nobody can tell.
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        kind = rest.partition(" ")[0]
        if fields.split(" ")[2] == wanted and kind.startswith(_REMOTE):
            raise Conflict(f"changes on {kind} may come from elsewhere unseen; force=true watches")

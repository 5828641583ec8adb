"""Watched directories: those that a stream follows, and those that a client polls."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.linux.clock import awake
from toolbox_e2b.engines import files_of
from toolbox_e2b.errors import Exhausted
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.errors import NoSuchWatcher
from toolbox_e2b.filesystem.collector import Change
from toolbox_e2b.filesystem.collector import Collector
from toolbox_e2b.filesystem.entries import entry_at
from toolbox_e2b.filesystem.models import CHMOD
from toolbox_e2b.filesystem.models import CREATE
from toolbox_e2b.filesystem.models import REMOVE
from toolbox_e2b.filesystem.models import RENAME
from toolbox_e2b.filesystem.models import WRITE
from toolbox_e2b.filesystem.models import FilesystemEvent
from toolbox_e2b.filesystem.models import WatchRequest

FORGOTTEN = 3600.0
"""Seconds without a poll after which a watcher may make room for another."""


class Watch:
    """One watched directory, and its changes in E2B's words."""

    def __init__(self, context: Context, request: WatchRequest) -> None:
        self._files = files_of(context)
        info = self._files.info(request.path)
        if not info.is_dir:
            raise InvalidArgument(f"path {request.path[:300]!r} is not a directory")
        # With the slash, so that /ab is not below /a.
        self._root = info.path.rstrip("/") + "/"
        self._with_entry = request.include_entry
        # The group refuses file systems that don't report changes unless it is forced to.
        handler = self._files.watch(info.path, request.recursive, request.allow_network_mounts)
        self.collector = Collector(handler, context.loop)

    def events(self) -> Iterator[FilesystemEvent]:
        """Yield the changes since the last call."""
        last = None
        for change in self.collector.take():
            for event in self._events(change):
                # A new file that is written to is a change twice already.
                if event != last:
                    yield event
                last = event

    def _events(self, change: Change) -> Iterator[FilesystemEvent]:
        # The watched directory's own attributes, and an overflow, are no event at E2B.
        if not change.path.startswith(self._root):
            return
        name = change.path.removeprefix(self._root)
        if change.event == "deleted":
            # The other half of a rename is the creation of the new name.
            yield FilesystemEvent(name=name, type=RENAME if change.cookie else REMOVE)
        elif change.event == "modified":
            yield self._event(name, WRITE, change)
        elif change.event == "attributes":
            yield self._event(name, CHMOD, change)
        elif change.event == "created":
            yield self._event(name, CREATE, change)
            # A file that was uploaded appears with its content, by a rename.
            if not change.is_dir and not change.cookie and self._has_content(change.path):
                yield self._event(name, WRITE, change)

    def _event(self, name: str, kind: str, change: Change) -> FilesystemEvent:
        entry = None
        if self._with_entry:
            try:
                entry = entry_at(self._files, change.path)
            except ToolboxError:
                pass  # It is gone again.
        return FilesystemEvent(name=name, type=kind, entry=entry)

    def _has_content(self, path: str) -> bool:
        try:
            return self._files.info(path).size > 0
        except ToolboxError:
            # It is gone again: most files are written to.
            return True


class Watchers:
    """The watchers that clients poll, by id, ``limit`` at most. *Any thread.*"""

    def __init__(self, context: Context, limit: int) -> None:
        self._context = context
        self._limit = limit
        self._lock = threading.Lock()
        self._known: dict[str, Watch] = {}

    def watch(self, request: WatchRequest) -> Watch:
        """Watch a directory, for a stream. Raises InvalidArgument, and what ``files`` raises."""
        return Watch(self._context, request)

    def create(self, request: WatchRequest) -> str:
        """Watch a directory; return the watcher's id. Raises Exhausted, and as :meth:`watch`."""
        watch = self.watch(request)
        with self._lock:
            if self._has_room():
                watcher_id = str(uuid.uuid4())
                self._known[watcher_id] = watch
                return watcher_id
        # Made before the lock was taken: a large tree takes long to be watched.
        watch.collector.stop()
        raise Exhausted(f"too many watchers (limit {self._limit})")

    def _has_room(self) -> bool:
        if len(self._known) < self._limit:
            return True
        # A client that has crashed never removes its watchers.
        oldest = min(self._known, key=lambda key: self._known[key].collector.asked_at)
        if awake() - self._known[oldest].collector.asked_at < FORGOTTEN:
            return False
        self._known.pop(oldest).collector.stop()
        return True

    def events(self, watcher_id: str) -> list[FilesystemEvent]:
        """Return the changes since the last call. Raises NoSuchWatcher."""
        with self._lock:
            watch = self._known.get(watcher_id)
        if watch is None:
            raise NoSuchWatcher(f"watcher {watcher_id[:64]!r} not found")
        return list(watch.events())

    def remove(self, watcher_id: str) -> None:
        """Stop a watcher. Raises NoSuchWatcher."""
        with self._lock:
            watch = self._known.pop(watcher_id, None)
        if watch is None:
            raise NoSuchWatcher(f"watcher {watcher_id[:64]!r} not found")
        watch.collector.stop()

    def close(self) -> None:
        """Stop all."""
        with self._lock:
            watches, self._known = list(self._known.values()), {}
        for watch in watches:
            watch.collector.stop()

"""Changes on disk, of which the server is notified before each request.

The files are compared when a request arrives, not followed by inotify(7): that needs no kernel
resources, misses nothing, and puts notifications before the request that depends on them.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

from toolbox_lsp.watch.watchers import CHANGED
from toolbox_lsp.watch.watchers import CREATED
from toolbox_lsp.watch.watchers import DELETED
from toolbox_lsp.watch.watchers import PACKAGES
from toolbox_lsp.watch.watchers import SKIPPED
from toolbox_lsp.watch.watchers import Watcher
from toolbox_lsp.watch.watchers import Watchers

MAX_ENTRIES = 100_000
"""Maximum files compared in one tree; changes of others aren't found."""
MAX_LINKED = 10_000
"""Maximum of those behind symbolic links."""
CLOCK_TICK = 50_000_000
"""Nanoseconds within which two writes may get the same time (kernel tick)."""
PAUSE_FACTOR = 10
"""Pause between two comparisons, as a multiple of the duration of the last."""

Files = dict[str, int | None]
"""Paths with a hash of their metadata, or None if a further change might not alter that."""


class DiskChanges:
    """The changes since the server was last notified. *Any thread.*"""

    def __init__(self, root: Path, watchers: Watchers) -> None:
        self._root = str(root)
        self._watchers = watchers
        self._lock = threading.Lock()
        self._complete = True
        self._known = self._look([Watcher(root, "**")])
        self._outside: dict[tuple[str, bool], Files] = {}
        self._next = 0.0

    @property
    def complete(self) -> bool:
        """False if there were too many files to compare."""
        return self._complete

    def add_outside(self) -> None:
        """Record the current files of newly watched trees outside the project."""
        with self._lock:
            for watcher in self._watchers.outside():
                key = (str(watcher.base), watcher.deep)
                if key not in self._outside:
                    self._outside[key] = self._look([watcher])

    def take(self, *, thorough: bool) -> list[dict[str, Any]]:
        """Return the changes since the last call, as ``FileEvent`` of LSP.

        Unless ``thorough``, nothing is compared until ``PAUSE_FACTOR`` times the duration of the
        last comparison has passed.
        """
        with self._lock:
            begin = time.monotonic()
            if not thorough and begin < self._next:
                return []
            self._complete = True
            found = self._compare()
            # Proportional, so that a large project doesn't spend its time on comparisons.
            self._next = time.monotonic() + PAUSE_FACTOR * (time.monotonic() - begin)
        return [
            {"uri": Path(path).as_uri(), "type": kind}
            for path, kind in found
            if self._watchers.wants(path, kind)
        ]

    def _compare(self) -> list[tuple[str, int]]:
        now = self._look([Watcher(Path(self._root), "**")])
        found = _differences(self._known, now)
        self._known = now
        for (base, deep), before in self._outside.items():
            now = self._look([Watcher(Path(base), "**" if deep else "*")])
            found += _differences(before, now)
            self._outside[base, deep] = now
        return found

    def _look(self, watchers: list[Watcher]) -> Files:
        found: Files = {}
        for watcher in watchers:
            # 1: only the entries themselves.
            depth = None if watcher.deep and watcher.base.name not in PACKAGES else 1
            self._complete = _scan(str(watcher.base), found, depth) and self._complete
        return found


def _differences(before: Files, now: Files) -> list[tuple[str, int]]:
    created = [(path, CREATED) for path in now if path not in before]
    deleted = [(path, DELETED) for path in before if path not in now]
    changed = [
        (path, CHANGED)
        for path, stamp in now.items()
        if path in before and (before[path] is None or before[path] != stamp)
    ]
    # Deletions first: a renamed file disappears before it appears.
    return deleted + created + changed


def _scan(top: str, found: Files, depth: int | None) -> bool:
    """Add the files below ``top`` to ``found``; return False if there are too many.

    With a ``depth`` of 1 directories count as files and aren't entered. Links to directories count
    as files; those that lead out of the trees seen so far are also entered, within MAX_LINKED.
    """
    todo = [(top, depth, False)]
    # Real paths of the trees entered, or links back to them would loop forever.
    trees = {os.path.realpath(top)}
    linked = 0
    now = time.time_ns()
    while todo:
        directory, left, is_linked = todo.pop()
        if is_linked and linked > MAX_LINKED:
            continue
        for entry in _entries(directory):
            if len(found) >= MAX_ENTRIES:
                return False
            linked += is_linked
            if entry.is_dir(follow_symlinks=False) and _is_entered(entry.name, left):
                todo.append((entry.path, _levels(entry.name, left), is_linked))
                continue
            _add(entry, found, now)
            if left is None and entry.is_symlink() and _leads_to_new_tree(entry.path, trees):
                todo.append((entry.path, _levels(entry.name, left), True))
    return True


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [entry for entry in entries if entry.name not in SKIPPED]
    except OSError:
        return []  # Deleted, or not readable.


def _leads_to_new_tree(link: str, trees: set[str]) -> bool:
    """Report whether a link leads to a directory outside of all ``trees``; add it to them."""
    real = os.path.realpath(link)
    below = os.path.join(real, "")  # noqa: PTH118
    if any(f"{tree}/".startswith(below) or real.startswith(f"{tree}/") for tree in trees):
        return False
    if not os.path.isdir(real):  # noqa: PTH112
        return False
    trees.add(real)
    return True


def _is_entered(name: str, left: int | None) -> bool:
    # In node_modules, @scope is a directory of packages.
    return left != 1 or name.startswith("@")


def _levels(name: str, left: int | None) -> int | None:
    return 1 if name in PACKAGES else left


def _add(entry: os.DirEntry[str], found: Files, now: int) -> None:
    try:
        info = entry.stat()
    except OSError:
        return
    if stat.S_ISDIR(info.st_mode):
        # Of a package only its presence counts: caches change its directory's times.
        found[entry.path] = info.st_ino
    # ctime, too: unlike mtime it can't be set to an old value.
    elif abs(now - info.st_ctime_ns) < CLOCK_TICK:
        found[entry.path] = None
    else:
        found[entry.path] = hash(
            (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_dev)
        )

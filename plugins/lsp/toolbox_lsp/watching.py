"""Files that change on disk, told to the server before it is asked.

They are looked for when a request comes, not followed: that needs nothing of the kernel, misses
nothing, and orders what is told before what is asked.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

from toolbox_lsp.watchers import CHANGED
from toolbox_lsp.watchers import CREATED
from toolbox_lsp.watchers import DELETED
from toolbox_lsp.watchers import PACKAGES
from toolbox_lsp.watchers import SKIPPED
from toolbox_lsp.watchers import Watcher
from toolbox_lsp.watchers import Watchers

MAX_ENTRIES = 100_000
"""Files looked at in one place; of more nothing is known."""
MAX_LINKED = 10_000
"""Of these, the files that links lead to."""
CLOCK_TICK = 50_000_000
"""Nanoseconds within which two writes may get the same time."""
SHARE = 10
"""Of the time, the part that may go into looking for changes, but for diagnostics."""

Files = dict[str, int | None]
"""Paths, and a hash of what changes with the file; None if it may change once more unseen."""


class Changes:
    """What has changed since the server was last told. *Any thread.*"""

    def __init__(self, root: Path, watchers: Watchers) -> None:
        self._root = str(root)
        self._watchers = watchers
        self._lock = threading.Lock()
        self._whole = True
        self._known = self._look([Watcher(root, "**")])
        self._outside: dict[tuple[str, bool], Files] = {}
        self._next = 0.0

    @property
    def whole(self) -> bool:
        """Whether everything was looked at: there were not too many files."""
        return self._whole

    def note_places(self) -> None:
        """Remember how the places outside are that the server has begun to watch."""
        with self._lock:
            for watcher in self._watchers.outside():
                place = (str(watcher.base), watcher.deep)
                if place not in self._outside:
                    self._outside[place] = self._look([watcher])

    def take(self, *, thoroughly: bool) -> list[dict[str, Any]]:
        """What is to be told, as ``FileEvent`` of LSP.

        Unless ``thoroughly``, it isn't looked again and again where looking takes long.
        """
        with self._lock:
            begin = time.monotonic()
            if not thoroughly and begin < self._next:
                return []
            self._whole = True
            found = self._compare()
            self._next = time.monotonic() + SHARE * (time.monotonic() - begin)
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
            depth = None if watcher.deep and watcher.base.name not in PACKAGES else 1
            self._whole = _scan(str(watcher.base), found, depth) and self._whole
        return found


def _differences(before: Files, now: Files) -> list[tuple[str, int]]:
    created = [(path, CREATED) for path in now if path not in before]
    deleted = [(path, DELETED) for path in before if path not in now]
    changed = [
        (path, CHANGED)
        for path, stamp in now.items()
        if path in before and (before[path] is None or before[path] != stamp)
    ]
    return deleted + created + changed


def _scan(top: str, found: Files, depth: int | None) -> bool:
    """Add the files below ``top``; whether they were not too many.

    With a ``depth`` of 1 no directory is entered, each counts as a file. So do links to
    directories; those that lead elsewhere are entered, too, as long as little is found there.
    """
    todo = [(top, depth, False)]
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
            if left is None and entry.is_symlink() and _leads_to_another(entry.path, trees):
                todo.append((entry.path, _levels(entry.name, left), True))
    return True


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [entry for entry in entries if entry.name not in SKIPPED]
    except OSError:
        return []  # It is gone, or not for us.


def _leads_to_another(link: str, trees: set[str]) -> bool:
    """Whether a link leads to a directory that isn't among ``trees``, below one or above; it is
    added to them.
    """
    real = os.path.realpath(link)
    below = os.path.join(real, "")  # noqa: PTH118
    if any(f"{tree}/".startswith(below) or real.startswith(f"{tree}/") for tree in trees):
        return False
    if not os.path.isdir(real):  # noqa: PTH112
        return False
    trees.add(real)
    return True


def _is_entered(name: str, left: int | None) -> bool:
    # In node_modules @scope is a directory of packages.
    return left != 1 or name.startswith("@")


def _levels(name: str, left: int | None) -> int | None:
    return 1 if name in PACKAGES else left


def _add(entry: os.DirEntry[str], found: Files, now: int) -> None:
    try:
        info = entry.stat()
    except OSError:
        return
    if stat.S_ISDIR(info.st_mode):
        # Of what is installed it counts that it is there: its directory changes with caches.
        found[entry.path] = info.st_ino
    elif abs(now - info.st_ctime_ns) < CLOCK_TICK:
        found[entry.path] = None
    else:
        found[entry.path] = hash(
            (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_dev)
        )

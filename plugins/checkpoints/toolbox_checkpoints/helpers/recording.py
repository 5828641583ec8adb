"""Recording what a checkpoint is made of, and whether that has changed since."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from collections.abc import Iterator
from typing import NamedTuple

from toolbox.trees.choice import Choice
from toolbox.trees.halving import MOST
from toolbox.trees.halving import WORTH
from toolbox.trees.halving import can_halve
from toolbox.trees.halving import halve
from toolbox_checkpoints.helpers.failures import NoRoom
from toolbox_checkpoints.helpers.manifest import UNKNOWN
from toolbox_checkpoints.helpers.manifest import Identity
from toolbox_checkpoints.helpers.manifest import Manifest
from toolbox_checkpoints.helpers.manifest import identity
from toolbox_checkpoints.helpers.places import Descent
from toolbox_checkpoints.helpers.places import entries
from toolbox_checkpoints.helpers.places import join
from toolbox_checkpoints.helpers.rules import REASONS
from toolbox_checkpoints.helpers.rules import Rules
from toolbox_checkpoints.helpers.service import Service

TICK = 20_000_000
"""Nanoseconds in which two changes of a file may get the same time: the kernel's clock for files
ticks 100 times a second, at least.
"""

COARSE = 1_000_000_000
"""The same, where the file system keeps whole seconds."""

AHEAD = 2 * COARSE
"""Nanoseconds in the future from which on a time tells of a clock that was wrong, not of now."""


TOGETHER = 16
"""Directories that are looked at in one go."""


class Previous(NamedTuple):
    """An earlier copy of the same tree, with which unchanged files are shared."""

    tree: str
    manifest: Manifest
    stored: dict[int, int]
    """Bytes by inode of what that copy doesn't share, if it is to be removed."""


class Recorded:
    """The record of a copy, or of the part that one process has made of it."""

    def __init__(self) -> None:
        self.directories: dict[str, dict[str, Identity]] = {}
        """As those of a manifest, as is ``linked``."""
        self.linked: dict[str, list[str]] = {}
        self.entered: dict[str, Identity] = {}
        self.names: dict[str, set[str]] = {}
        """Entries that were taken, where there are patterns."""
        self.skipped = dict.fromkeys(REASONS, 0)
        self.files = self.size = 0
        self.stored: dict[int, int] = {}
        """Bytes by inode of what earlier checkpoints don't have."""
        self.used = 0
        """Bytes that count for the budget."""
        self.settles = 0
        """Time, in ns, from which on a change of a file that was just changed shows in its time."""

    def add(self, other: Recorded) -> None:
        """Add another part."""
        self.directories |= other.directories
        self.linked |= other.linked
        self.entered |= other.entered
        self.names |= other.names
        self.stored |= other.stored
        self.skipped = {why: count + other.skipped[why] for why, count in self.skipped.items()}
        self.files, self.size = self.files + other.files, self.size + other.size
        self.used += other.used
        self.settles = max(self.settles, other.settles)


class Recorder(Choice):
    """Leaves out what the rules say, shares what is known, and records the rest."""

    def __init__(self, rules: Rules, previous: Previous, service: Service, budget: int) -> None:
        self.recorded = Recorded()
        self._device = previous.manifest.device
        self._rules = rules
        self._previous = previous
        self._service = service
        self._budget = budget
        self._path = ""

    def manifest(self) -> Manifest:
        """Return what a later copy may know of this one."""
        manifest = Manifest(self._device)
        manifest.directories, manifest.linked = self.recorded.directories, self.recorded.linked
        return manifest

    def restart(self) -> None:
        self._service.restart()
        self.recorded = Recorded()

    def part(self) -> Recorded:
        return self.recorded

    def merge(self, part: Recorded) -> None:
        self.recorded.add(part)
        self._service.merge(self.recorded.files, self.recorded.size, self.recorded.used)

    def enter(self, names: list[str], status: os.stat_result) -> None:
        path = join("/".join(names[:-1]), names[-1]) if names else ""
        self._path = path
        self._device = status.st_dev if not path else self._device
        self.recorded.entered[path] = self._trusted(status)
        self._current = self.recorded.directories[path] = {}
        self._taken = self.recorded.names[path] = set()
        self._reason = self._rules.at(path)

    @property
    def shares(self) -> bool:
        return bool(self._previous.manifest.directories)

    def takes(self, entry: os.DirEntry[str]) -> bool:
        # Without patterns, most of all entries.
        if not self._rules.has_patterns and entry.is_file(follow_symlinks=False):
            return True
        reason = self._reason(entry)
        if reason in self.recorded.skipped:
            self.recorded.skipped[reason] += 1
        elif not reason and self._rules.has_patterns:
            self._taken.add(entry.name)
        return not reason

    def link(self, name: str, status: os.stat_result, target: int) -> bool:
        if not self._previous.manifest.knows(self._path, name, status):
            return self._reserve(status)
        source = f"{self._previous.tree}/{join(self._path, name)}"
        try:
            os.link(source, name, dst_dir_fd=target, follow_symlinks=False)
        except OSError:
            # It has as many names as a file can have, was deleted, or its path is too long.
            return self._reserve(status)
        if status.st_ino in self._previous.stored:
            self._reserve(status)
        return True

    def copied(self, name: str, status: os.stat_result) -> None:
        self.recorded.files += 1
        self.recorded.size += status.st_size
        self._service.count(self.recorded.files, self.recorded.size, self.recorded.used)
        self._current[name] = self._trusted(status)
        if status.st_nlink > 1:
            self.recorded.linked.setdefault(self._path, []).append(name)

    def _reserve(self, status: os.stat_result) -> bool:
        size = self.recorded.stored[status.st_ino] = status.st_blocks * 512
        self.recorded.used += size
        if self.recorded.used + self._service.stored_elsewhere > self._budget:
            raise NoRoom("checkpoints would take more than max_bytes")
        return False

    def _trusted(self, status: os.stat_result) -> Identity:
        """Return the identity, but none if the entry could change and keep it."""
        now = time.time_ns()
        tick = TICK if status.st_ctime_ns % COARSE else COARSE
        if not now - tick < status.st_ctime_ns < now + AHEAD:
            return identity(status)
        self.recorded.settles = max(self.recorded.settles, status.st_ctime_ns + tick)
        return UNKNOWN

    def changed(self, top: int) -> list[str]:
        """Return the paths of what isn't as it was copied.

        Without any the copy is of one moment: the one between the last copy and this call.
        """
        places = list(self.recorded.entered.items())
        size = max(TOGETHER, len(places) // MOST + 1)
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        found: list[str] = []

        def look(units: Iterable[int]) -> None:
            for number in units:
                found.extend(self._changed(top, parts[number]))

        def look_there(units: Iterable[int]) -> list[str]:
            self._service.restart()
            look(units)
            return found

        if len(parts) < WORTH or not can_halve():
            look(range(len(parts)))
            return found
        elsewhere: list[str] = halve(len(parts), look, look_there)
        return elsewhere + found

    def _changed(self, top: int, places: list[tuple[str, Identity]]) -> Iterator[str]:
        with Descent(top) as tree:
            for path, known in places:
                try:
                    directory = tree.open(path)
                    # Of its entries: one that was made, removed or renamed.
                    if identity(os.fstat(directory)) != known and self._differs(path, directory):
                        yield path or "."
                except (FileNotFoundError, NotADirectoryError):
                    yield path
                    continue
                for name, of_file in self.recorded.directories[path].items():
                    self._service.check()
                    if not _is_still(name, directory, of_file):
                        yield join(path, name)

    def _differs(self, path: str, directory: int) -> bool:
        """Report whether more than excluded entries have changed in a directory."""
        if not self._rules.has_patterns:
            return True
        reason = self._rules.at(path)
        names = {name for name, entry in entries(directory).items() if not reason(entry)}
        return names != self.recorded.names[path]


def _is_still(name: str, directory: int, known: Identity) -> bool:
    try:
        return identity(os.stat(name, dir_fd=directory, follow_symlinks=False)) == known
    except FileNotFoundError:
        return False

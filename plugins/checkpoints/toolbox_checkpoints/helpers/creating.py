"""Making a checkpoint: a copy of a tree that is known to be of one moment, or else of what not."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

from toolbox.trees.copying import DIRECTORY
from toolbox.trees.copying import Choice
from toolbox.trees.copying import TreeCopy
from toolbox.trees.errors import TreeError
from toolbox.trees.removing import remove_tree
from toolbox_checkpoints.helpers.failures import Damaged
from toolbox_checkpoints.helpers.failures import NoRoom
from toolbox_checkpoints.helpers.failures import Unreadable
from toolbox_checkpoints.helpers.manifest import MANIFEST
from toolbox_checkpoints.helpers.manifest import UNKNOWN
from toolbox_checkpoints.helpers.manifest import Identity
from toolbox_checkpoints.helpers.manifest import Manifest
from toolbox_checkpoints.helpers.manifest import identity
from toolbox_checkpoints.helpers.manifest import read_manifest
from toolbox_checkpoints.helpers.places import Descent
from toolbox_checkpoints.helpers.places import entries
from toolbox_checkpoints.helpers.places import join
from toolbox_checkpoints.helpers.places import locked
from toolbox_checkpoints.helpers.rules import REASONS
from toolbox_checkpoints.helpers.rules import Rules
from toolbox_checkpoints.helpers.service import Service

ATTEMPTS = 3
"""Copies that are made, at most, of a tree that changes meanwhile; the later ones share with the
former what didn't.
"""

TICK = 20_000_000
"""Nanoseconds in which two changes of a file may get the same time: the kernel's clock for files
ticks 100 times a second, at least.
"""

COARSE = 1_000_000_000
"""The same, where the file system keeps whole seconds."""

AHEAD = 2 * COARSE
"""Nanoseconds in the future from which on a time tells of a clock that was wrong, not of now."""

MAX_CHANGED = 1000
"""Paths of changed files that are named, at most."""


class Previous(NamedTuple):
    """An earlier copy of the same tree, with which unchanged files are shared."""

    tree: str
    manifest: Manifest
    stored: dict[int, int]
    """Bytes by inode of what that copy doesn't share, if it is to be removed."""


class Recorder(Choice):
    """Leaves out what the rules say, shares what is known, and records the rest."""

    def __init__(self, rules: Rules, previous: Previous, service: Service, budget: int) -> None:
        self.manifest = Manifest(previous.manifest.device)
        self.skipped = dict.fromkeys(REASONS, 0)
        self.files = self.directories = self.size = 0
        self.stored: dict[int, int] = {}
        """Bytes by inode of what earlier checkpoints don't have."""
        self.settles = 0
        """Time, in ns, from which on a change of a file that was just changed shows in its time."""
        self._rules = rules
        self._previous = previous
        self._service = service
        self._left = budget
        self._path = ""
        self._entered: dict[str, Identity] = {}
        self._names: dict[str, set[str]] = {}

    def enter(self, names: list[str], status: os.stat_result) -> None:
        path = join("/".join(names[:-1]), names[-1]) if names else ""
        self._path = path
        self.manifest.device = status.st_dev if not path else self.manifest.device
        self._entered[path] = self._trusted(status)
        self._current = self.manifest.directories[path] = {}
        self._taken = self._names[path] = set()
        self._reason = self._rules.at(path)
        self.directories += 1

    @property
    def shares(self) -> bool:
        return bool(self._previous.manifest.directories)

    def takes(self, entry: os.DirEntry[str]) -> bool:
        # Without patterns, most of all entries.
        if not self._rules.has_patterns and entry.is_file(follow_symlinks=False):
            return True
        reason = self._reason(entry)
        if reason in self.skipped:
            self.skipped[reason] += 1
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
        self.files += 1
        self.size += status.st_size
        self._service.files, self._service.bytes = self.files, self.size
        self._current[name] = self._trusted(status)
        if status.st_nlink > 1:
            self.manifest.linked.setdefault(self._path, []).append(name)

    def _reserve(self, status: os.stat_result) -> bool:
        self.stored[status.st_ino] = status.st_blocks * 512
        self._left -= status.st_blocks * 512
        if self._left < 0:
            raise NoRoom("checkpoints would take more than max_bytes")
        return False

    def _trusted(self, status: os.stat_result) -> Identity:
        """Return the identity, but none if the entry could change and keep it."""
        now = time.time_ns()
        tick = TICK if status.st_ctime_ns % COARSE else COARSE
        if not now - tick < status.st_ctime_ns < now + AHEAD:
            return identity(status)
        self.settles = max(self.settles, status.st_ctime_ns + tick)
        return UNKNOWN

    def changed(self, top: int) -> Iterator[str]:
        """Yield the paths of what isn't as it was copied.

        Without any the copy is of one moment: the one between the last copy and this call.
        """
        with Descent(top) as tree:
            for path, known in self._entered.items():
                try:
                    directory = tree.open(path)
                    # Of its entries: one that was made, removed or renamed.
                    if identity(os.fstat(directory)) != known and self._differs(path, directory):
                        yield path or "."
                except (FileNotFoundError, NotADirectoryError):
                    yield path
                    continue
                for name, of_file in self.manifest.directories[path].items():
                    self._service.check()
                    if not _is_still(name, directory, of_file):
                        yield join(path, name)

    def _differs(self, path: str, directory: int) -> bool:
        """Report whether more than excluded entries have changed in a directory."""
        if not self._rules.has_patterns:
            return True
        reason = self._rules.at(path)
        names = {name for name, entry in entries(directory).items() if not reason(entry)}
        return names != self._names[path]


def _is_still(name: str, directory: int, known: Identity) -> bool:
    try:
        return identity(os.stat(name, dir_fd=directory, follow_symlinks=False)) == known
    except FileNotFoundError:
        return False


def create(task: dict[str, Any], service: Service) -> dict[str, Any]:
    """Make a checkpoint; return its record.

    Raises OSError, TreeError and Cancelled; nothing is left then.
    """
    store = Path(task["store"])
    making = store / ".making" / task["id"]
    making.parent.mkdir(mode=0o700, exist_ok=True)
    making.mkdir(mode=0o700)
    with locked(making) as free:
        try:
            if not free:
                raise TreeError("another service has swept the checkpoints; try again")
            record = _create(task, service, making)
            making.rename(store / task["id"])
        except BaseException:
            remove_tree(making)
            raise
    return record


def _create(task: dict[str, Any], service: Service, making: Path) -> dict[str, Any]:
    old = Path(task["store"], task["previous"] or "none")
    try:
        known = read_manifest(old)
    except Damaged:
        # Nothing is shared with it, that is all.
        known = Manifest(-1)
    previous = Previous(str(old / "tree"), known, {})
    top = os.open(task["path"], DIRECTORY)
    try:
        copied, changed = _copy_until_still(task, service, making, top, previous)
    finally:
        os.close(top)
    copied.manifest.write(making / MANIFEST)
    record = {
        **task["record"],
        "files": copied.files,
        "directories": copied.directories,
        "size": copied.size,
        "stored": sum(copied.stored.values()),
        "skipped": copied.skipped,
        "consistent": not changed,
        "changed": changed[:MAX_CHANGED],
        "changed_count": len(changed),
    }
    write_record(making / "record.json", record)
    return record


def _copy_until_still(
    task: dict[str, Any], service: Service, making: Path, top: int, previous: Previous
) -> tuple[Recorder, list[str]]:
    """Copy to ``tree`` in ``making``, again while files change; return those that did at last."""
    rules = Rules(task["exclude"], top, task["store"])
    tree = making / "tree"
    for attempt in range(ATTEMPTS):
        copy = Recorder(rules, previous, service, task["budget"])
        failure = None
        try:
            TreeCopy(Path(task["path"]), tree, service.check, choice=copy).run()
        except TreeError as error:
            # A directory was moved away, or replaced, while it was copied.
            if not error.args[0].startswith("the directory was changed"):
                raise
            failure = error
        except PermissionError as error:
            raise _denied(task["path"], error) from error
        changed = ["."] if failure else sorted(set(copy.changed(top)))
        if previous.tree.startswith(f"{making}/"):
            # Only what was copied now takes room; what is shared was counted before.
            remove_tree(Path(previous.tree))
        if not changed:
            break
        if attempt + 1 == ATTEMPTS:
            if failure:
                raise failure
            break
        # Unchanged files are shared with it; the changed ones are copied anew, when the clock of
        # files has gone on: a change at the same tick as the last one would not be seen.
        earlier = making / f"attempt-{attempt}"
        tree.rename(earlier)
        previous = Previous(str(earlier), copy.manifest, copy.stored)
        time.sleep(max(0, min(copy.settles - time.time_ns(), AHEAD)) / 1e9)
    return copy, changed


def _denied(top: str, error: PermissionError) -> Exception:
    """Return the failure for something in the tree, ``error`` itself for what is ours."""
    name = error.filename
    if error.errno != errno.EACCES or not isinstance(name, str) or name.startswith("/"):
        return error
    reason = os.strerror(errno.EACCES)
    return Unreadable(f"{top}/{name}: {reason}; exclude leaves out what can't be read")


def write_record(file: Path, record: dict[str, Any]) -> None:
    """Write a record, whole or not at all. Raises OSError."""
    new = file.with_name(f"{file.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with new.open("x", encoding="ascii") as opened_file:
        json.dump(record, opened_file)
        opened_file.flush()
        os.fsync(opened_file.fileno())
    new.rename(file)

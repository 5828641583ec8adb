"""The differences between a checkpoint and a tree, or two checkpoints."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Literal
from typing import NamedTuple

from toolbox.trees.halving import can_halve
from toolbox.trees.halving import halve
from toolbox_checkpoints.helpers.failures import Damaged
from toolbox_checkpoints.helpers.manifest import Manifest
from toolbox_checkpoints.helpers.places import Descent
from toolbox_checkpoints.helpers.places import entries
from toolbox_checkpoints.helpers.places import exists
from toolbox_checkpoints.helpers.places import join
from toolbox_checkpoints.helpers.places import opened
from toolbox_checkpoints.helpers.places import split
from toolbox_checkpoints.helpers.rules import EMPTY
from toolbox_checkpoints.helpers.rules import Rules
from toolbox_checkpoints.helpers.service import Service

Kind = Literal["added", "deleted", "changed", "type", "mode", "times", "kept"]
"""``added`` is in the tree alone, ``deleted`` in the checkpoint alone. ``times`` are those of the
last change, and extended attributes. ``kept`` is what checkpoints leave out.
"""

BLOCK = 256 * 1024
"""Bytes compared at once."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


UNITS = 128
"""Directories that are found before two processes take one after the other of them."""

Side = tuple[int, int] | None
"""Type with mode, and size, of an entry, None where there is none: as a whole, a status would take
long from one process to the other.
"""


class Difference(NamedTuple):
    """An entry that differs, with what it is on each side."""

    path: str
    kind: Kind
    before: Side
    after: Side

    @property
    def is_directory(self) -> bool:
        """Report whether it is a directory on a side."""
        return any(side and stat.S_ISDIR(side[0]) for side in (self.before, self.after))


Pair = tuple[str, int, int]
"""Path of a file of which one side may have several names, and the inode on each, 0 for none."""

Pending = tuple[str, bool, bool]
"""Path of a directory, and which of the two sides has it."""


class Comparison:
    """Compares the open directories ``before``, of a checkpoint, and ``after``.

    ``manifest`` saves reading what didn't change since. ``rules`` are for ``after``, None if that
    is a checkpoint, too, with the manifest ``other``. ``only`` are the paths to look at, without
    any all.
    """

    def __init__(
        self,
        before: int,
        after: int,
        manifest: Manifest,
        rules: Rules | None,
        only: list[str],
        service: Service,
        other: Manifest | None = None,
    ) -> None:
        self._before = before
        self._after = after
        self._manifest = manifest
        self._other = other
        self._rules = rules
        self._only = only
        self._service = service
        self._is_root = os.geteuid() == 0
        self.found: list[Difference] = []
        """The differences, directories before what is in them."""
        self.directories: list[str] = []
        """Directories that both have."""
        self.pairs: list[Pair] = []

    def run(self) -> None:
        """Find the differences, if it is worth it by two processes. Raises OSError, TreeError,
        Damaged.
        """
        pending: deque[Pending] = deque([("", True, True)])
        with Descent(self._before) as before, Descent(self._after) as after:
            while pending and len(pending) < UNITS:
                pending += self._compare_directory(pending.popleft(), before, after)
        if pending:
            self._run_in_halves(list(pending))

    def _run_in_halves(self, pending: list[Pending]) -> None:
        def here(units: Iterable[int]) -> None:
            for number in units:
                self._walk(pending[number])

        def there(units: Iterable[int]) -> tuple[list[Difference], list[str], list[Pair]]:
            self._service.restart()
            self.found, self.directories, self.pairs = [], [], []
            here(units)
            return self.found, self.directories, self.pairs

        if not can_halve():
            here(range(len(pending)))
            return
        found, directories, pairs = halve(len(pending), here, there)
        self.found += found
        self.directories += directories
        self.pairs += pairs

    def _walk(self, directory: Pending) -> None:
        pending = [directory]
        with Descent(self._before) as before, Descent(self._after) as after:
            while pending:
                pending += self._compare_directory(pending.pop(), before, after)

    def _compare_directory(
        self, directory: Pending, before: Descent, after: Descent
    ) -> list[Pending]:
        """Compare the entries of a directory; return those that have entries themselves."""
        path, in_before, in_after = directory
        if in_before and in_after:
            self.directories.append(path)
        old = _open(before, path) if in_before else -1
        new = _open(after, path) if in_after else -1
        pending = []
        for difference, below in self._entries(path, old, new):
            if difference:
                self.found.append(difference)
            if below:
                pending.append(below)
        return pending

    def _entries(
        self, path: str, old: int, new: int
    ) -> Iterator[tuple[Difference | None, Pending | None]]:
        before = self._read(path, old, self._manifest)
        after = self._read(path, new, self._other)
        reason = self._rules.at(path) if self._rules else (lambda _: "")
        for name in {**before, **after}:
            self._service.check()
            place = join(path, name)
            if self._only and not self.concerns(place):
                continue
            a = before[name].stat(follow_symlinks=False) if name in before else None
            b = after[name].stat(follow_symlinks=False) if name in after else None
            why = reason(after[name]) if b else ""
            if why and (not a or why not in EMPTY):
                yield Difference(place, "kept", _side(a), _side(b)), None
                continue
            kind = self._kind((path, name), (a, old), (b, new))
            # A directory on one side is walked for what is in it, also if the other has a file.
            a_below, b_below = _is_directory(a), _is_directory(b)
            below = (place, a_below, b_below) if a_below or b_below else None
            yield Difference(place, kind, _side(a), _side(b)) if kind else None, below

    def _read(
        self, path: str, directory: int, manifest: Manifest | None
    ) -> dict[str, os.DirEntry[str]]:
        found = entries(directory) if directory >= 0 else {}
        # A file that a checkpoint has lost must not look like one that wasn't there.
        for lost in manifest.missing(path, found.keys()) if manifest else ():
            if not self._only or self.concerns(lost):
                raise Damaged.without(lost)
        return found

    def concerns(self, path: str) -> bool:
        """Report whether a path is to be looked at, or on the way there."""
        return self.is_within(path) or any(f"{one}/".startswith(f"{path}/") for one in self._only)

    def is_within(self, path: str) -> bool:
        """Report whether a path is to be looked at."""
        return not self._only or any(f"{path}/".startswith(f"{one}/") for one in self._only)

    def has(self, path: str) -> bool:
        """Report whether either side has an entry at a path. Raises OSError."""
        above, name = split(path)
        for top in (self._before, self._after):
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                opened(top, above) as directory,
            ):
                if exists(name, directory):
                    return True
        return False

    def _kind(
        self,
        place: tuple[str, str],
        before: tuple[os.stat_result | None, int],
        after: tuple[os.stat_result | None, int],
    ) -> Kind | None:
        a, b = before[0], after[0]
        if a is None:
            return "added"
        if stat.S_ISREG(a.st_mode) and (a.st_nlink > 1 or (b and b.st_nlink > 1)):
            self.pairs.append((join(*place), a.st_ino, b.st_ino if b else 0))
        if b is None:
            return "deleted"
        if stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
            return "type"
        is_known = os.path.samestat(a, b) or self._manifest.knows(*place, b)
        if is_known and not stat.S_ISDIR(a.st_mode):
            return None
        try:
            return self._compare(place[1], a, before[1], b, after[1])
        except FileNotFoundError:
            return "deleted"
        except PermissionError as error:
            error.filename = join(*place)
            raise

    def _compare(
        self, name: str, a: os.stat_result, old: int, b: os.stat_result, new: int
    ) -> Kind | None:
        attributes = True
        if stat.S_ISLNK(a.st_mode):
            if os.readlink(name, dir_fd=old) != os.readlink(name, dir_fd=new):
                return "changed"
        elif stat.S_ISREG(a.st_mode) and a.st_size != b.st_size:
            return "changed"
        else:
            with _both(name, old, new) as files:
                if stat.S_ISREG(a.st_mode) and not self._is_same(files):
                    return "changed"
                attributes = _attributes(files[0]) == _attributes(files[1])
        # Others can't give files away: theirs belong to them in the checkpoint, whoever had them.
        owners = self._is_root and (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid)
        if a.st_mode != b.st_mode or owners:
            return "mode"
        return None if attributes and a.st_mtime_ns == b.st_mtime_ns else "times"

    def _is_same(self, files: tuple[int, int]) -> bool:
        while block := os.read(files[0], BLOCK):
            self._service.check()
            # Read to the end of the block: of a file that is written meanwhile less may come.
            if os.read(files[1], len(block)) != block:
                return False
        return not os.read(files[1], 1)


def _open(tree: Descent, path: str) -> int:
    try:
        return tree.open(path)
    except (FileNotFoundError, NotADirectoryError):
        # Gone since its name was read: as if it was empty.
        return -1


def _side(status: os.stat_result | None) -> Side:
    return (status.st_mode, status.st_size) if status else None


def _is_directory(status: os.stat_result | None) -> bool:
    return status is not None and stat.S_ISDIR(status.st_mode)


@contextlib.contextmanager
def _both(name: str, old: int, new: int) -> Iterator[tuple[int, int]]:
    with contextlib.ExitStack() as closing:
        files = []
        for directory in (old, new):
            files.append(os.open(name, _READ, dir_fd=directory))
            closing.callback(os.close, files[-1])
        yield files[0], files[1]


def _attributes(file: int) -> dict[str, bytes]:
    try:
        # Those of a user: others may be unsettable in the copy, and stay as they are then.
        names = [name for name in os.listxattr(file) if name.startswith("user.")]
        return {name: os.getxattr(file, name) for name in names}
    except OSError:
        return {}

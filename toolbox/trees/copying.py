"""Copies of whole trees."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import NamedTuple

from toolbox.trees.attributes import Owner
from toolbox.trees.attributes import copy_attributes
from toolbox.trees.attributes import copy_node_attributes
from toolbox.trees.choice import Choice
from toolbox.trees.contents import Contents
from toolbox.trees.errors import TreeError
from toolbox.trees.halving import MOST
from toolbox.trees.halving import WORTH
from toolbox.trees.halving import Units
from toolbox.trees.halving import can_halve
from toolbox.trees.halving import halve
from toolbox.trees.linking import HardLinks
from toolbox.trees.listing import DIRECTORY
from toolbox.trees.listing import entries_in

# Without O_NONBLOCK, a FIFO that took the file's name a moment ago would block for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


LINKS = ".links"
"""Ends the name of the directory beside a copy that the copy needs while it is made."""

WHITEOUT = 0
"""The number of a device that no driver has: a file of the layer below that was deleted."""


class Frame(NamedTuple):
    """A directory that is being copied, and those of its directories that are still to be."""

    name: str
    status: os.stat_result
    directories: list[str]


SPLITS = 8
"""Second processes that are started for one copy at most, one after the other."""


class TreeCopy:
    """One copy of a tree.

    Sockets and devices are left out: the one has no process behind it, the other is a way around
    the permissions of this machine. Not so what marks a deleted file for overlayfs, though it is a
    device. Directories on other file systems are empty in the copy.
    ``owner`` is given to all files, None keeps theirs. ``check`` is called often; it raises if the
    copy isn't wanted any more. ``choice`` decides about each entry. With ``halves`` a second
    process may take a part, which only a program with a single thread can ask for.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        check: Callable[[], None],
        owner: Owner | None = None,
        choice: Choice | None = None,
        halves: bool = False,
    ) -> None:
        self._splits = SPLITS if halves and can_halve() else 0
        self._choice = choice or Choice()
        self._root, self._top = source, target
        self._check = check
        self._owner = owner
        self._contents = Contents(check)
        self._links = HardLinks(target.with_name(target.name + LINKS))
        # The current directories. Two descriptors, however deep the tree is.
        self._source = self._target = -1
        self._frames: list[Frame] = []
        self.entries = 0
        self.bytes = 0
        """Bytes on the disk, as if nothing was shared."""

    def run(self) -> None:
        """Copy. Raises OSError, TreeError and what ``check`` raises; a part may be there then.

        An OSError of something in the tree has its path there.
        """
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self._close)
            cleanup.enter_context(self._links)
            self._source = os.open(self._root, DIRECTORY)
            # Closed to all others until its own mode is set at the end.
            self._top.mkdir(0o700)
            self._target = os.open(self._top, DIRECTORY)
            try:
                self._enter("")
                self._copy(0)
            except OSError as error:
                self._name(error, 1)
                raise

    def _copy(self, depth: int) -> None:
        """Copy what is below the current directory, and those above up to ``depth`` of them."""
        while len(self._frames) > depth:
            directories = self._frames[-1].directories
            if len(directories) >= WORTH and self._splits:
                self._split(directories[-MOST:])
                del directories[-MOST:]
            elif directories:
                self._descend(directories.pop())
            else:
                self._ascend()

    def _split(self, names: list[str]) -> None:
        """Copy directories of the current one, a part of them by another process."""
        splits, self._splits = self._splits, 0
        depth = len(self._frames)

        def copy(units: Units) -> None:
            for number in units:
                try:
                    self._descend(names[number])
                    self._copy(depth)
                except OSError as error:
                    self._name(error, depth)
                    del self._frames[depth:]
                    raise

        def copy_part(units: Units) -> tuple[int, int, Any]:
            self.entries = self.bytes = 0
            self._choice.restart()
            copy(units)
            return self.entries, self.bytes, self._choice.part()

        entries, size, part = halve(len(names), copy, copy_part)
        self.entries, self.bytes = self.entries + entries, self.bytes + size
        self._choice.merge(part)
        self._splits = splits - 1

    def _name(self, error: OSError, depth: int) -> None:
        """Give an error of something in the tree its path from the frame at ``depth`` on."""
        if isinstance(error.filename, str) and not error.filename.startswith("/"):
            names = [frame.name for frame in self._frames[depth:]]
            error.filename = "/".join([*names, error.filename])

    def _names(self) -> list[str]:
        return [frame.name for frame in self._frames[1:]]

    def _close(self) -> None:
        for fd in (self._source, self._target):
            if fd >= 0:
                os.close(fd)

    def _enter(self, name: str) -> None:
        """Copy all but the directories of the current directory."""
        frame = Frame(name, os.fstat(self._source), [])
        self._frames.append(frame)
        self._choice.enter(self._names(), frame.status)
        # Another file system: of an own volume, or a part of the machine's.
        if frame.status.st_dev != self._frames[0].status.st_dev:
            return
        for entry in entries_in(self._source):
            self._check()
            try:
                if not self._choice.takes(entry):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    frame.directories.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    self._copy_file(entry)
                else:
                    self._copy_special(entry)
                self.entries += 1
            except FileNotFoundError:
                # Removed since its name was read.
                continue

    def _descend(self, name: str) -> None:
        try:
            source = os.open(name, DIRECTORY, dir_fd=self._source)
        except FileNotFoundError:
            return
        os.close(self._source)
        self._source = source
        self.bytes += os.fstat(source).st_blocks * 512
        os.mkdir(name, 0o700, dir_fd=self._target)
        target = os.open(name, DIRECTORY, dir_fd=self._target)
        os.close(self._target)
        self._target = target
        self._enter(name)

    def _ascend(self) -> None:
        frame = self._frames.pop()
        # Now only: entries change the times, and a mode may forbid to make some.
        copy_attributes(self._source, self._target, frame.status, self._owner)
        if not self._frames:
            return
        self._source = _up(self._source)
        self._target = _up(self._target)
        if not os.path.samestat(os.fstat(self._source), self._frames[-1].status):
            # Somebody has moved the directory, maybe to where we must not read.
            raise TreeError("the directory was changed while it was copied")

    def _copy_special(self, entry: os.DirEntry[str]) -> None:
        name = entry.name
        status = entry.stat(follow_symlinks=False)
        self.bytes += status.st_blocks * 512
        # As it is, not what it leads to: that may be a file of this machine.
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=self._source), name, dir_fd=self._target)
            copy_node_attributes(name, self._target, status, self._owner)
            self._choice.copied(name, status)
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(name, 0o600, dir_fd=self._target)
            copy_node_attributes(name, self._target, status, self._owner)
        elif stat.S_ISCHR(status.st_mode) and status.st_rdev == WHITEOUT:
            os.mknod(name, stat.S_IFCHR, WHITEOUT, dir_fd=self._target)

    def _copy_file(self, entry: os.DirEntry[str]) -> None:
        name = entry.name
        source = -1
        try:
            if self._choice.shares:
                status = entry.stat(follow_symlinks=False)
            else:
                # Not by its name before that: one call less for each file.
                source = self._open(name)
                status = os.fstat(source)
            self.bytes += status.st_blocks * 512
            linked = self._choice.is_linked(name, status)
            if not (linked and self._links.link(status, self._target, name)):
                if not self._choice.link(name, status, self._target):
                    if source < 0:
                        source = self._open(name)
                        # Again, of what was opened: another file may have taken the name since.
                        status = os.fstat(source)
                    self._copy_content(source, name, status)
                if linked:
                    self._links.keep(status, self._target, name)
        finally:
            if source >= 0:
                os.close(source)
        self._choice.copied(name, status)

    def _open(self, name: str) -> int:
        try:
            return os.open(name, _READ, dir_fd=self._source)
        except OSError as error:
            if error.errno == errno.ELOOP:  # A symlink took its place.
                raise TreeError("the directory was changed while it was copied") from None
            raise

    def _copy_content(self, source: int, name: str, status: os.stat_result) -> None:
        # Writing would clear more bits than these. Nobody else can open it yet: see run().
        mode = stat.S_IMODE(status.st_mode) & 0o777
        target = os.open(name, _NEW, mode, dir_fd=self._target)
        try:
            if stat.S_ISREG(status.st_mode):
                self._contents.copy(source, target, status)
            copy_attributes(source, target, status, self._owner)
        finally:
            os.close(target)


def _up(fd: int) -> int:
    parent = os.open("..", DIRECTORY, dir_fd=fd)
    os.close(fd)
    return parent

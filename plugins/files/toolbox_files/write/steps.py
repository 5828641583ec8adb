"""The steps of a transaction: files that are written or removed, and put back if another fails."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO
from typing import Protocol

import msgspec

from toolbox.atomic.staging import private_name
from toolbox.atomic.writing import Check
from toolbox.atomic.writing import replacing
from toolbox.atomic.writing import write_all
from toolbox.errors import PreconditionFailed
from toolbox.errors import printable

log = logging.getLogger("toolbox.writing")


class Place(msgspec.Struct):
    """A file of a transaction, by the open directory that it is in."""

    shown: str
    directory: int
    name: str
    info: os.stat_result | None
    """Its status when it was read; None if there was none."""
    content: bytes

    @property
    def path(self) -> Path:
        """A path that no change of links leads elsewhere."""
        return Path(f"/proc/self/fd/{self.directory}") / self.name

    def status(self) -> os.stat_result | None:
        """Return the present status, None if there is no file. Raises OSError."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None


class Step(Protocol):
    """One change. Methods are called in this order; ``undo`` only of what ``commit`` did."""

    place: Place

    def stage(self, undoable: bool) -> None:
        """Do all that may fail and isn't visible; without ``undoable`` no undo will be needed."""

    def commit(self) -> None:
        """Make the change visible. Raises PreconditionFailed, OSError."""

    def undo(self) -> None:
        """Put back what was there, unless another program has changed it since. Raises OSError."""

    def close(self) -> None:
        """Remove what is left of staging, or of the old file."""


class _Abandoned(Exception):
    """Ends a replacement that isn't wanted."""


class _Staged:
    """New content of a place, complete and invisible."""

    def __init__(self, place: Place, content: bytes, check: Check) -> None:
        replacement = replacing(place.path, check)
        self.file = replacement.__enter__()
        self._replacing: AbstractContextManager[BinaryIO] | None = replacement
        try:
            write_all(self.file, content)
        except BaseException:
            self.discard()
            raise

    def commit(self) -> None:
        replacement, self._replacing = self._replacing, None
        if replacement is not None:
            replacement.__exit__(None, None, None)

    def discard(self) -> None:
        replacement, self._replacing = self._replacing, None
        if replacement is not None:
            with contextlib.suppress(_Abandoned):
                replacement.__exit__(_Abandoned, _Abandoned(), None)


class Writing:
    """New content, or only another mode, for a file."""

    def __init__(
        self, place: Place, content: bytes, executable: bool | None, mode: int | None
    ) -> None:
        self.place = place
        self.content = content
        self.executable = executable
        self._mode = mode
        self._known = place.info
        self._new: _Staged | None = None
        self._old: _Staged | None = None
        self._done = False

    def check(self, info: os.stat_result | None) -> None:
        """Raise PreconditionFailed unless ``info`` is of the file as it is known."""
        if identity(info) != identity(self._known):
            raise PreconditionFailed(f"{self.place.shown} has changed meanwhile")

    def stage(self, undoable: bool) -> None:
        place = self.place
        if place.info is None:
            self._new = _Staged(place, self.content, self.check)
            fd = self._new.file.fileno()
            mode = stat.S_IMODE(os.fstat(fd).st_mode) if self._mode is None else self._mode
            os.fchmod(fd, _with_executable(mode, self.executable))
        elif self.content != place.content:
            self._new = _Staged(place, self.content, self.check)
            if undoable or self.executable is not None:
                self._old = _Staged(place, place.content, self.check)

    def commit(self) -> None:
        self.check(self.place.status())
        self._done = True
        try:
            if self._new is not None:
                self._new.commit()
        except BaseException:
            self._done = False
            raise
        self._known = self.place.status()
        if self.place.info is not None and self.executable is not None:
            mode = stat.S_IMODE(self.place.info.st_mode)
            self.place.path.chmod(_with_executable(mode, self.executable))

    def undo(self) -> None:
        place = self.place
        if not self._done:
            return
        self.check(place.status())
        if place.info is None:
            os.unlink(place.name, dir_fd=place.directory)
            return
        if self._old is not None:
            self._old.commit()
            times = place.info.st_atime_ns, place.info.st_mtime_ns
            os.utime(place.name, ns=times, dir_fd=place.directory)
        place.path.chmod(stat.S_IMODE(place.info.st_mode))

    def close(self) -> None:
        for staged in (self._new, self._old):
            if staged is not None:
                staged.discard()


class Removal:
    """A file that is deleted."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._private = ""

    def stage(self, undoable: bool) -> None:
        pass

    def commit(self) -> None:
        # First out of the way: then nobody can change what was compared.
        private = private_name()
        self._rename(self.place.name, private)
        self._private = private
        info = os.stat(private, dir_fd=self.place.directory, follow_symlinks=False)
        if identity(info) != identity(self.place.info):
            raise PreconditionFailed(f"{self.place.shown} has changed meanwhile")

    def undo(self) -> None:
        if not self._private:
            return
        if self.place.status() is not None:
            raise PreconditionFailed(f"{self.place.shown} was created meanwhile")
        self._rename(self._private, self.place.name)
        self._private = ""

    def close(self) -> None:
        if self._private:
            with contextlib.suppress(OSError):
                os.unlink(self._private, dir_fd=self.place.directory)

    def _rename(self, old: str, new: str) -> None:
        directory = self.place.directory
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def take_steps(steps: list[Step], lock: AbstractContextManager[object]) -> None:
    """Take all steps or none. Raises PreconditionFailed, OSError with the shown name.

    With ``lock`` no other transaction changes what this one may have to put back.
    """
    try:
        for step in steps:
            with named(step.place.shown):
                step.stage(undoable=len(steps) > 1)
        with lock:
            _commit(steps)
    finally:
        for step in steps:
            step.close()


def _commit(steps: list[Step]) -> None:
    begun: list[Step] = []
    try:
        for step in steps:
            begun.append(step)
            with named(step.place.shown):
                step.commit()
    except BaseException:
        for step in reversed(begun):
            _undo(step)
        raise


def _undo(step: Step) -> None:
    try:
        step.undo()
    except (OSError, PreconditionFailed) as error:
        # Another program has interfered; its content is as good as ours.
        log.error("%s is not put back: %s", printable(step.place.shown), error)


@contextlib.contextmanager
def named(shown: str) -> Iterator[None]:
    """Give an ``OSError`` of the block the name that the client knows."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = shown, None
        raise


def identity(info: os.stat_result | None) -> tuple[int, ...] | None:
    """Return what changes with a file's content; None for no file."""
    return info and (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)


def _with_executable(mode: int, executable: bool | None) -> int:
    """Return ``mode`` for those who may read to execute, too, or for nobody; as git does."""
    if executable is None:
        return mode
    return mode | (mode & 0o444) >> 2 if executable else mode & ~0o111

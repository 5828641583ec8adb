"""Atomic writes of whole files: readers see the old content or the new, and one of them survives.

The one writer of the service, for every plugin that changes files. The new content is complete, in
an invisible file (:mod:`toolbox.atomic.staging`), before the old is touched. It gets owner, group,
mode, access control list and other attributes of the old file, and is renamed over it. A symbolic
link is written through, to its target.

The old file is overwritten in place where a rename would change more than the content: it has
several names (hard links), it is a mount point, or its owner couldn't be kept; and where its
directory can't be written. That is logged. Its old content is copied before, and restored if
overwriting fails; only a service that is killed in that moment leaves a mixture.

Set-id bits and file capabilities are kept, too, where the kernel lets the service's user set them
(chmod(2): the owner, and for set-group-id a member of the group; capabilities(7): CAP_SETFCAP);
otherwise they are lost, as with any other program that writes the file.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO
from typing import Protocol

from toolbox.atomic.overwriting import overwrite
from toolbox.atomic.staging import Staged
from toolbox.atomic.staging import open_directory
from toolbox.atomic.targets import errors_of as errors_of
from toolbox.atomic.targets import find
from toolbox.atomic.targets import real_target as real_target
from toolbox.atomic.targets import status as status
from toolbox.errors import printable

log = logging.getLogger("toolbox.writing")

NEW_DIRECTORY = 0o755
"""The mode of missing parents before the umask."""

_NO_NEIGHBOUR = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT}
"""Errnos of directories in which no file can be made; for /proc it is ENOENT."""

_NO_RENAME = {
    errno.EBUSY: "it is a mount point",
    errno.ENOSYS: "its file system can't rename",
    errno.EOPNOTSUPP: "its file system can't rename",
    errno.EXDEV: "its file system can't rename",
    errno.EACCES: "its directory can't be written",
    errno.EPERM: "its directory can't be written",
}

_LOCKS = tuple(threading.Lock() for _ in range(16))
"""Held from the last check to the end; all writers of one file, under any name, share one."""

Check = Callable[[os.stat_result | None], None]


def no_check(info: os.stat_result | None) -> None:
    """Accept any status."""


def replacing(path: Path, check: Check = no_check) -> AbstractContextManager[BinaryIO]:
    """Return a context with a file for the new content of ``path``, which takes effect at its end.

    If the block raises, or the content can't be stored, the old file stays as it was. Missing
    parents are created. ``check`` gets the old file's status, None if it doesn't exist, before the
    first byte and again before the last step, and raises to refuse. Raises OSError with ``path`` or
    a directory above it as its file name: IsADirectoryError, and ENXIO for a device or its like.
    """
    return _Replacing(path, check)


class _Replacing:
    """See :func:`replacing`. No generator: of a small upload's writing each takes a twentieth."""

    def __init__(self, path: Path, check: Check) -> None:
        self._path = path
        self._check = check

    def __enter__(self) -> BinaryIO:
        path = self._path
        with errors_of(path):
            try:
                target, old = find(path)
            except OSError:
                make_directory(path.parent, NEW_DIRECTORY)  # Names the directory that is the cause.
                raise
            if old is None:
                make_directory(path.parent, NEW_DIRECTORY)
            self._check(old)
            self._replacement = _Replacement(path, target, old)
        return self._replacement.file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                with errors_of(self._path):
                    self._replacement.commit(self._check)
            elif isinstance(error, OSError) and error.filename is None:
                error.filename = str(self._path)  # Errors of write(2) have none.
        finally:
            self._replacement.discard()


def put_in_place(name: Path, file: BinaryIO, path: Path, check: Check = no_check) -> None:
    """Rename ``name``, a complete file open as ``file`` beside the target of ``path``, to ``path``.

    As :func:`replacing` does; if it raises, ``name`` still exists.
    """
    with errors_of(path):
        target, old = find(path)
        check(old)
        replacement = _Replacement(path, target, old, (name.name, file))
        try:
            replacement.commit(check)
        except BaseException:
            replacement.close()
            raise
        replacement.discard()


def make_directory(path: Path, mode: int) -> None:
    """Create ``path`` and missing parents, all with ``mode`` (before the umask).

    An existing directory is left alone, also one that was created concurrently. Raises OSError.
    """
    if path.is_dir():
        return  # Nearly always: all its parents, as paths, would take 10 us.
    pending = []
    for directory in (path, *path.parents):
        if directory.is_dir():
            break
        pending.append(directory)
    for directory in reversed(pending):
        try:
            directory.mkdir(mode)
        except FileExistsError:
            if not directory.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "", str(directory)) from None


class _Replacement:
    """New content for ``path``, for its file ``target`` with the status ``old``; ``kept`` is a file
    with it.
    """

    def __init__(
        self,
        path: Path,
        target: Path,
        old: os.stat_result | None,
        kept: tuple[str, BinaryIO] | None = None,
    ) -> None:
        self._path = path
        self._target = target
        self._old = old
        self._staged: Staged | None = None
        if old is not None:
            check_access(self._target)
        self._directory = open_directory(self._target.parent)
        try:
            self.file = kept[1] if kept else self._stage()
            if kept:
                self._staged = Staged(self._directory, name=kept[0], file=kept[1])
        except BaseException:
            os.close(self._directory)
            raise

    def _stage(self) -> BinaryIO:
        try:
            self._staged = Staged(self._directory, closed=self._old is not None)
        except OSError as error:
            if self._old is None or error.errno not in _NO_NEIGHBOUR:
                raise
            return tempfile.TemporaryFile(buffering=0)
        return self._staged.file

    def commit(self, check: Check) -> None:
        """Replace the file, if ``check`` accepts its present status. Raises OSError."""
        # By inode, which all names of a file share; a new file has only its path.
        key = (self._old.st_dev, self._old.st_ino) if self._old else str(self._target)
        with _LOCKS[hash(key) % len(_LOCKS)]:
            now = status(self._path)
            check(now)
            if reason := self._rename(now):
                log.warning("%s is written in place: %s", printable(str(self._target)), reason)
                overwrite(self._target, self._directory, now, self._complete().fileno())

    def _complete(self) -> BinaryIO:
        """Return the file with the new content, which a rename that failed has closed."""
        if self._staged is not None:
            self.file = self._staged.reopen()
        return self.file

    def _rename(self, now: os.stat_result | None) -> str:
        """Rename; return "", or the reason why that is impossible."""
        if self._staged is None:
            return "its directory can't be written"
        if now is not None and now.st_nlink > 1:
            return "it has several names"
        kept = now or self._old
        if kept is not None and not _inherit(self.file.fileno(), self._target, kept):
            return "its owner could not be kept"
        try:
            self._staged.take_place(self._target.name)
        except OSError as error:
            reason = _NO_RENAME.get(error.errno or 0)
            if reason is None:
                raise
            return reason
        return ""

    def close(self) -> None:
        """Close the file, and leave it in place."""
        with contextlib.suppress(OSError):
            self.file.close()
        os.close(self._directory)

    def discard(self) -> None:
        """Close the file, and delete it unless it has become the target."""
        if self._staged is not None:
            self._staged.discard()
        self.close()


def check_access(target: Path) -> None:
    """Raise PermissionError if the file may not be written: a rename wouldn't."""
    if os.access(target, os.W_OK, effective_ids=True):
        return
    read_only = os.statvfs(target).f_flag & os.ST_RDONLY
    raise OSError(errno.EROFS if read_only else errno.EACCES, "", str(target))


def _inherit(fd: int, target: Path, old: os.stat_result) -> bool:
    """Copy owner, attributes and mode of the old file to the open one; report whether the owner
    could be set. The mode comes last: a change of owner clears some of its bits.
    """
    new = os.fstat(fd)
    changed = stat.S_IMODE(new.st_mode) != stat.S_IMODE(old.st_mode)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(fd, old.st_uid, old.st_gid)
        except OSError:
            return False
        changed = True
    with contextlib.suppress(OSError):  # The file system has none.
        for name in os.listxattr(target):
            changed = True
            with contextlib.suppress(OSError):
                os.setxattr(fd, name, os.getxattr(target, name))
    if changed:
        os.fchmod(fd, stat.S_IMODE(old.st_mode))
    return True


class Sink(Protocol):
    """Takes bytes, and returns the count of those it took."""

    def write(self, data: memoryview, /) -> int: ...


def write_all(file: Sink, data: bytes | bytearray | memoryview) -> None:
    """Write all of ``data`` to an unbuffered file, however little the kernel takes at once."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]

"""Writing whole files so that whoever looks sees the old content or the new, never a part.

The new content goes into a file without a name in the target's directory (``O_TMPFILE``; one with
a name where the file system has none), gets the mode, owner and attributes of the file it
replaces, and is renamed over it. A service that is killed meanwhile leaves nothing behind.

A symbolic link is written through, to its target. The file is written in place where a rename
would change more than the content: it has several names (hard links), it is a mount point, or its
owner couldn't be kept; and where its directory can't be written. The log says so.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from typing import Protocol

from toolbox.errors import printable
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.names import absolute

log = logging.getLogger("toolbox.files")

NEW_FILE = 0o666
NEW_DIRECTORY = 0o755
"""Modes before the umask."""

_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
"""What file systems and kernels say that have no ``O_TMPFILE`` (open(2))."""

_NO_NEIGHBOUR = {errno.EACCES, errno.EPERM, errno.EROFS}

_NO_RENAME = {
    errno.EBUSY: "it is a mount point",
    errno.ENOSYS: "its file system can't rename",
    errno.EOPNOTSUPP: "its file system can't rename",
    errno.EXDEV: "its file system can't rename",
}

Check = Callable[[os.stat_result | None], None]


def no_check(info: os.stat_result | None) -> None:
    """Accept whatever is there."""


@contextlib.contextmanager
def replacing(path: Path, check: Check = no_check) -> Iterator[BinaryIO]:
    """A file to write the new content of ``path`` to; it takes effect when the block is left.

    If the block raises, or the content can't be stored, the old file stays as it was. Missing
    parents are made. ``check`` gets the old file's status, ``None`` for none, before the first
    byte and once more before the last step, and raises to refuse. Raises InvalidFilePath,
    FileAccessDenied, InsufficientStorage and whatever else the file system answers.
    """
    with file_errors(path):
        make_directory(path.parent, NEW_DIRECTORY)
        old = status(path)
        check(old)
        target = real_target(path)
        replacement = _open_replacement(target, old)
        try:
            yield replacement.file
            check(status(path))
            replacement.commit()
        finally:
            replacement.discard()


def make_directory(path: Path, mode: int) -> None:
    """Make ``path`` and what is missing above it, all with ``mode`` (before the umask).

    A directory that is there already is left alone, also one made by somebody else meanwhile.
    Raises OSError.
    """
    pending = []
    for each in (path, *path.parents):
        if each.is_dir():
            break
        pending.append(each)
    for each in reversed(pending):
        try:
            each.mkdir(mode)
        except FileExistsError:
            if not each.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "", str(each)) from None


def real_target(path: Path) -> Path:
    """The file that is replaced when ``path`` is written: where a link points, if it is one."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def status(path: Path) -> os.stat_result | None:
    """The status of a regular file, None if there is none. Raises InvalidFilePath for others."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(info.st_mode):
        raise InvalidFilePath(f"is a directory: {absolute(path)}")
    if not stat.S_ISREG(info.st_mode):
        raise InvalidFilePath(f"not a regular file: {absolute(path)}")
    return info


def _open_replacement(target: Path, old: os.stat_result | None) -> _Beside | _InPlace:
    reason = _in_place_reason(target, old)
    if reason:
        return _InPlace(target, reason)
    try:
        return _Beside(target, old)
    except _OwnerLost:
        return _InPlace(target, "its owner could not be kept")
    except OSError as error:
        if old is None or error.errno not in _NO_NEIGHBOUR:
            raise
        return _InPlace(target, "its directory can't be written")


def _in_place_reason(target: Path, old: os.stat_result | None) -> str:
    """Why ``target`` has to be written in place, if it has to. Raises PermissionError if it may
    not be written, which a rename wouldn't tell.
    """
    if old is not None and not os.access(target, os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, "", str(target))
    return "it has several names" if old is not None and old.st_nlink > 1 else ""


class _OwnerLost(Exception):
    """The new file can't belong to the owner of the old one."""


class _InPlace:
    """The target itself, emptied."""

    def __init__(self, target: Path, reason: str) -> None:
        log.warning("%s is written in place: %s", printable(str(target)), reason)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
        self.file: BinaryIO = os.fdopen(os.open(target, flags, NEW_FILE), "wb", buffering=0)

    def commit(self) -> None:
        self.file.close()

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()


class _Beside:
    """A new file in the target's directory that becomes the target: ``name``, which is open as
    ``file``, or one without a name that is made here.
    """

    def __init__(
        self,
        target: Path,
        old: os.stat_result | None,
        name: Path | None = None,
        file: BinaryIO | None = None,
    ) -> None:
        self._target = target
        self._old = old
        self._name = name or target.with_name(f".toolbox-{secrets.token_hex(8)}")
        self._named = name is not None
        self.file = file or self._open()
        try:
            if old is not None:
                self._inherit(old)
        except BaseException:
            if name is None:
                self.discard()
            raise

    def _open(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_CLOEXEC
        parent = self._target.parent
        try:
            fd = os.open(parent, flags | os.O_TMPFILE, NEW_FILE)
        except OSError as error:
            if error.errno not in _NO_TMPFILE or not parent.is_dir():
                raise
            fd = os.open(self._name, flags | os.O_CREAT | os.O_EXCL, neighbour_mode(self._old))
            self._named = True
        return os.fdopen(fd, "r+b", buffering=0)

    def _inherit(self, old: os.stat_result) -> None:
        """Take over owner, access control list and other attributes; the mode at the end, since
        writing clears some of its bits.
        """
        fd = self.file.fileno()
        new = os.fstat(fd)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            try:
                os.fchown(fd, old.st_uid, old.st_gid)
            except OSError:
                raise _OwnerLost from None
        for name in _attributes(self._target):
            with contextlib.suppress(OSError):
                os.setxattr(fd, name, os.getxattr(self._target, name))

    def commit(self) -> None:
        if self._old is not None:
            os.fchmod(self.file.fileno(), stat.S_IMODE(self._old.st_mode))
        if not self._named:
            # With a name before it is closed, since closing is its end; and closed before it
            # takes the target's place, since some file systems report failures only then.
            source = f"/proc/self/fd/{self.file.fileno()}"
            # Any directory descriptor makes CPython call linkat(2), which alone can follow links.
            os.link(source, self._name, src_dir_fd=self.file.fileno(), follow_symlinks=True)
            self._named = True
        self.file.close()
        try:
            os.replace(self._name, self._target)  # noqa: PTH105
        except OSError as error:
            reason = _NO_RENAME.get(error.errno or 0)
            if reason is None:
                raise OSError(error.errno, "", str(self._target)) from None
            _pour(self._name, _InPlace(self._target, reason))
        else:
            self._named = False

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
        if self._named:
            self._named = False
            with contextlib.suppress(OSError):
                self._name.unlink()


def neighbour_mode(old: os.stat_result | None) -> int:
    """The mode of a file with a name that is to replace ``old``: not readable by more people."""
    return NEW_FILE if old is None else 0o600


def _pour(source: Path, target: _InPlace) -> None:
    try:
        with source.open("rb") as file:
            shutil.copyfileobj(file, target.file, 1024 * 1024)
        target.commit()
    finally:
        target.discard()


def put_in_place(name: Path, file: BinaryIO, path: Path, check: Check) -> None:
    """Let ``name``, complete and open as ``file``, become ``path`` beside it.

    As :func:`replacing` does; if it raises, ``name`` is still there. Raises OSError.
    """
    old = status(path)
    check(old)
    target = real_target(path)
    reason = _in_place_reason(target, old)
    if not reason:
        try:
            _Beside(target, old, name, file).commit()
        except _OwnerLost:
            reason = "its owner could not be kept"
    if reason:
        _pour(name, _InPlace(target, reason))
    name.unlink(missing_ok=True)


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []  # The file system has none.


class Sink(Protocol):
    """Takes bytes, as many of them as it says."""

    def write(self, data: memoryview, /) -> int: ...


def write_all(file: Sink, data: bytes | bytearray | memoryview) -> None:
    """Write all of ``data`` to an unbuffered file, however little the kernel takes at once."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]

"""Moving files and trees: by renaming, or between file systems by copying."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Callable
from pathlib import Path

from toolbox.atomic.staging import private_name
from toolbox.errors import Conflict
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.names import absolute
from toolbox_files.tree.copying import copy_tree
from toolbox_files.tree.deleting import delete

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1

Rename = Callable[[bytes, bytes], int]


def move(source: Path, destination: Path) -> str:
    """Rename ``source`` to ``destination``, which must not exist but whose parent must.

    A symbolic link itself is moved, not its target. Between file systems the tree is copied, with
    its links, owners, times and attributes, and then deleted. Returns the error message if
    deleting fails, else ``""``. Raises OSError, Conflict, InvalidFilePath.
    """
    info = source.lstat()
    if not destination.parent.is_dir():
        destination.parent.stat()  # Raises FileNotFoundError where it is missing.
        raise NotADirectoryError(errno.ENOTDIR, "", str(destination.parent))
    if os.path.lexists(destination):
        raise Conflict(f"already exists: {absolute(destination)}")
    if stat.S_ISDIR(info.st_mode):
        _check_not_inside(source, destination)
    try:
        _rename(source, destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return _copy_and_delete(source, destination)
    return ""


def _check_not_inside(source: Path, destination: Path) -> None:
    real = source.parent.resolve() / source.name if source.name != ".." else source.resolve()
    if destination.parent.resolve().is_relative_to(real):
        raise InvalidFilePath(f"{absolute(source)} can't be moved into itself")


def _rename(source: Path, destination: Path) -> None:
    """Rename without ever replacing a file that was created concurrently."""
    rename = _renameat2()
    if rename is not None:
        code = rename(os.fsencode(source), os.fsencode(destination))
        if code == errno.EEXIST:
            raise Conflict(f"already exists: {absolute(destination)}")
        # Without support for flags a file system returns EINVAL, a kernel ENOSYS.
        if code not in (errno.EINVAL, errno.ENOSYS):
            if code:
                raise OSError(code, "", str(source))
            return
    source.rename(destination)


@functools.cache
def _renameat2() -> Rename | None:
    """Return a function that calls renameat2(2) with RENAME_NOREPLACE and returns 0 or the errno.

    None if the C library lacks it.
    """
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return None

    def rename(source: bytes, destination: bytes) -> int:
        if function(_AT_FDCWD, source, _AT_FDCWD, destination, _RENAME_NOREPLACE) == 0:
            return 0
        return ctypes.get_errno()

    return rename


def _copy_and_delete(source: Path, destination: Path) -> str:
    """Copy to a private name, then rename: a tree at ``destination`` is always complete."""
    copy = destination.with_name(private_name())
    try:
        copy_tree(source, copy)
        _rename(copy, destination)
    except BaseException as error:
        with contextlib.suppress(OSError):
            delete(copy, str(copy), recursive=True)
        if isinstance(error, OSError):
            raise _renamed_error(error, copy, destination) from None
        raise
    try:
        with file_errors():
            delete(source, str(source), recursive=True)
    except Exception as error:
        # By the API's rule a move that leaves the source behind is a success with a message.
        return str(error)
    return ""


def _renamed_error(error: OSError, copy: Path, destination: Path) -> OSError:
    """Return ``error`` with names below ``copy``, which clients don't know, as ``destination``."""
    if error.filename is None:
        return OSError(error.errno, "", str(destination))
    for name in (error.filename, error.filename2):
        if name is not None and Path(name).is_relative_to(copy):
            shown = str(destination / Path(name).relative_to(copy))
            # The directory exists: /proc refuses new files with ENOENT.
            refused = error.errno == errno.ENOENT and Path(name) == copy
            return OSError(errno.EACCES if refused else error.errno, "", shown)
    return error

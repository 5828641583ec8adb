"""The files that are written: what a path leads to, and how errors name it."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path


def real_target(path: Path) -> Path:
    """Return the file that writing ``path`` replaces: the target, if it is a link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def status(path: Path) -> os.stat_result | None:
    """Return the status of a regular file, None if it doesn't exist. Raises OSError otherwise."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    return _regular(info, path)


def _regular(info: os.stat_result, path: Path) -> os.stat_result:
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, "", str(path))
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.ENXIO, "", str(path))
    return info


def find(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return :func:`real_target` and :func:`status`, by one look at a path that is no link."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return path, None
    if stat.S_ISLNK(info.st_mode):
        return real_target(path), status(path)
    return path, _regular(info, path)


def errors_of(path: Path) -> AbstractContextManager[None]:
    """Give an ``OSError`` a name that the caller knows: its own may be of an invisible file.

    That is ``path``, or a directory above it. ENOENT for a file in an existing directory, as in
    /proc, becomes PermissionError.
    """
    return _ErrorsOf(path)


class _ErrorsOf:
    """See :func:`errors_of`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        path = self._path
        named = Path(error.filename) if isinstance(error.filename, str) else None
        above = named if named in path.parents else None
        error.filename, error.filename2 = str(above or path), None
        if error.errno == errno.ENOENT and (above or real_target(path)).parent.is_dir():
            raise PermissionError(errno.EACCES, "", error.filename) from None

"""Copying trees faithfully: links as links, with owners, modes, times and attributes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from toolbox.atomic.writing import write_all
from toolbox_files.read.regular_file import open_regular

_BLOCK = 8 * 1024 * 1024
"""Bytes copied by one system call."""


def copy_tree(source: Path, target: Path) -> None:
    """Copy the file or tree ``source`` to ``target``, which must not exist. Raises OSError.

    Hard links within the tree stay hard links. Owners are kept where the service's user may
    change them.
    """
    # A stack, not recursion: trees may be deeper than Python's stack.
    pending = [(source, target)]
    directories: list[tuple[Path, os.stat_result, Path]] = []
    links: dict[tuple[int, int], Path] = {}
    while pending:
        old, new = pending.pop()
        info = old.lstat()
        if stat.S_ISDIR(info.st_mode):
            new.mkdir(0o700)
            directories.append((old, info, new))
            pending += [(old / name, new / name) for name in os.listdir(old)]  # noqa: PTH208
            continue
        known = links.get((info.st_dev, info.st_ino))
        if known is not None:
            os.link(known, new, follow_symlinks=False)
            continue
        _copy_entry(old, info, new)
        if info.st_nlink > 1:
            links[info.st_dev, info.st_ino] = new
    # Last, and the deepest first: adding an entry to a directory changes its times.
    for old, info, new in reversed(directories):
        _copy_metadata(old, info, new)


def _copy_entry(old: Path, info: os.stat_result, new: Path) -> None:
    if stat.S_ISLNK(info.st_mode):
        new.symlink_to(old.readlink())
    elif stat.S_ISREG(info.st_mode):
        _copy_content(old, new)
    else:
        os.mknod(new, info.st_mode, info.st_rdev)
    _copy_metadata(old, info, new)


def _copy_content(old: Path, new: Path) -> None:
    with open_regular(old) as source, new.open("xb", buffering=0) as target:
        try:
            while os.sendfile(target.fileno(), source.fileno(), None, _BLOCK):
                pass
        except OSError as error:
            # Some file systems don't support sendfile(2).
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            # On a disk that is nearly full a write takes a part, and is no error.
            while data := source.read(_BLOCK):
                write_all(target, data)


def _copy_metadata(old: Path, info: os.stat_result, new: Path) -> None:
    with contextlib.suppress(PermissionError):
        os.chown(new, info.st_uid, info.st_gid, follow_symlinks=False)
    _copy_attributes(old, new)
    if not stat.S_ISLNK(info.st_mode):
        new.chmod(stat.S_IMODE(info.st_mode))
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _copy_attributes(old: Path, new: Path) -> None:
    """Copy the extended attributes that can be read and that the target supports."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(old, follow_symlinks=False):
            with contextlib.suppress(OSError):
                value = os.getxattr(old, name, follow_symlinks=False)
                os.setxattr(new, name, value, follow_symlinks=False)

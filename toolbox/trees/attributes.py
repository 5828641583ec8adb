"""Owners, modes, times and extended attributes."""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

_NO_ATTRIBUTE = {errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENODATA}
"""Errnos for an attribute that only others may set, or that the file system lacks."""


class Owner(NamedTuple):
    """The user and the group to which a copy belongs."""

    uid: int
    gid: int


def copy_attributes(
    source: int, target: int, status: os.stat_result, owner: Owner | None = None
) -> None:
    """Give the open file or directory ``target`` the attributes of ``source``.

    Raises OSError.
    """
    made = os.fstat(target)
    uid, gid = owner or (status.st_uid, status.st_gid)
    # Each change is a transaction of the file system; most new files need neither of these two.
    # The owner first: a change of it clears the bits of setuid and capabilities (chown(2)).
    changes_owner = (uid != made.st_uid or gid != made.st_gid) and _is_root()
    if changes_owner:
        os.fchown(target, uid, gid)
    if changes_owner or stat.S_IMODE(made.st_mode) != stat.S_IMODE(status.st_mode):
        os.fchmod(target, stat.S_IMODE(status.st_mode))
    for name in _names(source):
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTE:
                raise
    # Last: each of the changes above could touch the times.
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_node_attributes(
    name: str, directory: int, status: os.stat_result, owner: Owner | None = None
) -> None:
    """Give the entry ``name`` of ``directory``, which can't be opened, attributes as by stat(2).

    Raises OSError.
    """
    wanted = owner or Owner(status.st_uid, status.st_gid)
    # Others can't give files away; theirs belong to them in the copy, too.
    if _is_root():
        os.chown(name, wanted.uid, wanted.gid, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=directory)
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)


def _is_root() -> bool:
    """Report whether this process can give files away; else they stay its own."""
    return os.geteuid() == 0


def _names(file: int) -> list[str]:
    try:
        return os.listxattr(file)
    except OSError as error:
        if error.errno in _NO_ATTRIBUTE:
            return []
        raise

"""The metadata of a file as the API has it.

``mode`` and ``modTime`` are formatted as by Go's standard library (``fs.FileMode.String`` and
``time.Time.String``), which clients of the API parse.
"""

from __future__ import annotations

import os
import stat
import time
from functools import lru_cache
from pathlib import Path

from toolbox_files.models import FileInfo
from toolbox_files.names import absolute

_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
"""The years 1 to 9999, the range of RFC 3339; file systems can hold other years."""

_TYPES = {
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "L",
    stat.S_IFBLK: "D",
    stat.S_IFCHR: "D",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "S",
}


def file_info(path: Path, given: str) -> FileInfo:
    """Return the metadata of ``path``, which the client sent as ``given``. Raises OSError."""
    info = path.stat()
    # Not path.name: the client's own name, even "..".
    name = given.rstrip("/").rpartition("/")[2] or "/"
    return make_info(name, absolute(path), info)


def make_info(name: str, path: str, info: os.stat_result) -> FileInfo:
    """Return the metadata in ``info`` of the file ``name`` at ``path``."""
    second, nanosecond = divmod(info.st_mtime_ns, 1_000_000_000)
    go_time, go_zone, rfc3339_time, rfc3339_zone = _local(second)
    fraction = f".{nanosecond:09d}".rstrip("0") if nanosecond else ""
    mode, permissions, is_dir, owner, group = _access(info.st_mode, info.st_uid, info.st_gid)
    return FileInfo(
        name=name,
        size=info.st_size,
        mode=mode,
        mod_time=f"{go_time}{fraction}{go_zone}",
        modified_at=f"{rfc3339_time}{fraction}{rfc3339_zone}",
        is_dir=is_dir,
        owner=owner,
        group=group,
        permissions=permissions,
        path=path,
    )


# Files of a tree share few modes and owners, and many seconds: formatting was most of the work.
@lru_cache(1024)
def _access(mode: int, uid: int, gid: int) -> tuple[str, str, bool, str, str]:
    """Return mode, permissions, whether it is a directory, owner and group."""
    permissions = f"{mode & 0o777:04o}"
    return mode_text(mode), permissions, stat.S_ISDIR(mode), str(uid), str(gid)


def mode_text(mode: int) -> str:
    """Return ``mode`` as Go writes it: letters for type and special bits, then ``rwxrwxrwx``."""
    letters = _TYPES.get(stat.S_IFMT(mode), "")
    letters += "u" if mode & stat.S_ISUID else ""
    letters += "g" if mode & stat.S_ISGID else ""
    # Go marks a character device by "Dc".
    letters += "c" if stat.S_ISCHR(mode) else ""
    letters += "t" if mode & stat.S_ISVTX else ""
    bits = "".join(
        letter if mode & (0o400 >> index) else "-" for index, letter in enumerate("rwxrwxrwx")
    )
    return (letters or "-") + bits


@lru_cache(4096)
def _local(second: int) -> tuple[str, str, str, str]:
    """Return a second since the epoch in the formats of Go and RFC 3339.

    Each is two texts: date and time, and the zone, between which the fraction goes.
    """
    local = time.localtime(min(max(second, _FIRST_SECOND), _LAST_SECOND))
    date = f"{local.tm_year:04d}-{local.tm_mon:02d}-{local.tm_mday:02d}"
    clock = f"{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}"
    hours, minutes = divmod(abs(local.tm_gmtoff) // 60, 60)
    sign = "-" if local.tm_gmtoff < 0 else "+"
    rfc3339 = f"{sign}{hours:02d}:{minutes:02d}" if local.tm_gmtoff else "Z"
    go_zone = f" {sign}{hours:02d}{minutes:02d} {local.tm_zone}"
    return f"{date} {clock}", go_zone, f"{date}T{clock}", rfc3339

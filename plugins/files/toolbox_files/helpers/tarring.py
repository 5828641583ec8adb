"""The helper program that packs and unpacks: ``pack DIRECTORY FORMAT`` or ``unpack DIRECTORY``.

The archive goes through standard output or input; what goes wrong is one JSON object on standard
error. Exit status 0, else 1.
"""

from __future__ import annotations

import grp
import io
import json
import os
import pwd
import stat
import sys
import tarfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from typing import BinaryIO

from toolbox_files.helpers.compressing import BLOCK
from toolbox_files.helpers.compressing import compressed
from toolbox_files.helpers.compressing import decompressed
from toolbox_files.helpers.walking import sorted_entries

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


def pack(directory: str, target: io.RawIOBase, kind: str) -> None:
    """Write everything below ``directory``, links as links, with names relative to it.

    Sockets have no place in an archive; what vanishes meanwhile is left out. Raises OSError.
    """
    with compressed(target, kind) as stream, _Writer(stream) as writer:
        pending = [(directory, "")]
        while pending:
            above, prefix = pending.pop()
            try:
                entries = sorted_entries(above)
            except FileNotFoundError:
                if not prefix:
                    raise
                continue
            for entry in entries:
                writer.add(entry, prefix + entry.name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))


class _Writer:
    """Writes members to ``stream`` and remembers none of them, however many there are."""

    def __init__(self, stream: BinaryIO) -> None:
        place: Any = _Place(stream)
        # PAX, for names of any length, size and encoding.
        self._archive: Any = tarfile.TarFile(
            fileobj=place, mode="w", format=tarfile.PAX_FORMAT, copybufsize=BLOCK
        )
        self._links: dict[tuple[int, int], str] = {}

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self._archive.close()

    def add(self, entry: os.DirEntry[str], name: str) -> None:
        """Add one file of any type, a directory without what is in it."""
        try:
            status = entry.stat(follow_symlinks=False)
            member = self._member(entry.path, name, status)
            if member is None:
                return
            if not member.isreg():
                self._archive.addfile(member)
            else:
                fd = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                with os.fdopen(fd, "rb", buffering=0) as file:
                    self._archive.addfile(member, file)
        except FileNotFoundError:
            return
        self._archive.members.clear()

    def _member(self, path: str, name: str, status: os.stat_result) -> tarfile.TarInfo | None:
        kind = _TYPES.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return None
        member = tarfile.TarInfo(name)
        member.type = kind
        member.mode = status.st_mode
        member.uid, member.gid = status.st_uid, status.st_gid
        member.uname, member.gname = _user(status.st_uid), _group(status.st_gid)
        member.mtime = status.st_mtime
        if member.issym():
            member.linkname = os.readlink(path)  # noqa: PTH115
        elif member.ischr() or member.isblk():
            member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        elif member.isreg():
            known = None
            if status.st_nlink > 1:
                known = self._links.setdefault((status.st_dev, status.st_ino), name)
            if known in (None, name):
                member.size = status.st_size
            else:
                member.type, member.linkname = tarfile.LNKTYPE, known
        return member


@lru_cache
def _user(number: int) -> str:
    return _name(lambda: pwd.getpwuid(number).pw_name)


@lru_cache
def _group(number: int) -> str:
    return _name(lambda: grp.getgrgid(number).gr_name)


def _name(find: Callable[[], str]) -> str:
    try:
        return find()
    except KeyError:
        return ""


class _Place:
    """A stream that knows where it is and can be read or written forward only.

    The module ``tarfile`` has streams of its own, which copy their whole buffer for every member.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._place = 0

    def tell(self) -> int:
        return self._place

    def write(self, data: bytes) -> int:
        self._place += len(data)
        return self._stream.write(data)

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._place += len(data)
        return data

    def seek(self, place: int) -> None:
        while self._place < place and self.read(min(BLOCK, place - self._place)):
            pass


def unpack(directory: str, source: io.RawIOBase) -> int:
    """Unpack into ``directory``, which is made; the count of members.

    The files belong to the service's user and keep their permissions but set-id bits. Raises
    OSError, tarfile.TarError; members that would land outside are such an error.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    count = 0
    stream = decompressed(source)
    place: Any = _Place(stream)
    archive: Any = tarfile.TarFile(fileobj=place, mode="r", copybufsize=BLOCK)
    while (member := archive.next()) is not None:
        archive.extract(member, directory, filter=_adapt)
        archive.members.clear()
        count += 1
    while stream.read(BLOCK):
        pass  # What pads an archive to its block size, and what the compression checks.
    return count


def _adapt(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo:
    safe = tarfile.tar_filter(member, directory)
    # Without an owner it is the service's user's; the filter has taken away too much of the mode.
    mode = member.mode & 0o777
    nobody: Any = {"uid": None, "gid": None, "uname": None, "gname": None}
    return safe.replace(mode=mode, deep=False, **nobody)


def main(arguments: list[str]) -> int:
    """Do what the arguments say."""
    try:
        if arguments[0] == "pack":
            with open(1, "wb", buffering=0, closefd=False) as target:
                pack(arguments[1], target, arguments[2])
        else:
            with open(0, "rb", buffering=0, closefd=False) as source:
                print(unpack(arguments[1], source), flush=True)
    except BrokenPipeError:
        return 1
    except Exception as error:
        # Each decompressor has its own for a broken archive; some are an OSError without number.
        number = getattr(error, "errno", None) or 0
        filename = getattr(error, "filename", None) or ""
        _tell(errno=number, filename=os.fsencode(filename).hex(), message=str(error))
        return 1
    return 0


def _tell(**what: object) -> None:
    sys.stderr.write(json.dumps(what))

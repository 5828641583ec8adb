"""Packing directories as tar archives; concurrent changes of files never fail the archive.

As in tar(1), a file has the size in the archive that it had when it was opened: it is padded with
zeros if it shrinks, and cut off if it grows. Files that can't be read or were deleted are omitted.
A last member, ``.``, lists all of these in its extended header ``comment`` (pax(1)), if any.
"""

from __future__ import annotations

import grp
import io
import os
import pwd
import stat
import tarfile
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from typing import BinaryIO

from toolbox_files.helpers.compressing import BLOCK
from toolbox_files.helpers.compressing import compressed
from toolbox_files.helpers.tar_stream import TarStream
from toolbox_files.helpers.walking import sorted_entries

MAX_NOTES = 1000
"""Maximum files listed in the comment."""

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
}


def pack(directory: str, target: io.RawIOBase, kind: str) -> None:
    """Write everything below ``directory``, links as links, with names relative to it.

    Sockets, FIFOs and devices are omitted: no unpacker accepts them. Raises OSError if
    ``directory`` can't be read or ``target`` can't be written.
    """
    with compressed(target, kind) as stream, _Writer(stream) as writer:
        # A stack, not recursion: trees may be deeper than Python's stack.
        pending = [(directory, "")]
        while pending:
            parent, prefix = pending.pop()
            try:
                entries = sorted_entries(parent)
            except OSError as error:
                if not prefix:
                    raise
                writer.note(prefix, str(error.strerror))
                continue
            for entry in entries:
                if writer.add(entry, prefix + entry.name):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
        writer.add_notes(directory)


class _Writer:
    """Writes members to ``stream``, in constant memory but for hard links."""

    def __init__(self, stream: BinaryIO) -> None:
        output: Any = TarStream(stream)
        # PAX, for names of any length, size and encoding.
        self._archive: Any = tarfile.TarFile(
            fileobj=output, mode="w", format=tarfile.PAX_FORMAT, copybufsize=BLOCK
        )
        self._links: dict[tuple[int, int], str] = {}
        self._notes: list[str] = []
        self._more = 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self._archive.close()

    def note(self, name: str, remark: str) -> None:
        """Record a remark on ``name`` for the comment."""
        if len(self._notes) < MAX_NOTES:
            self._notes.append(f"{name}: {remark}")
        else:
            self._more += 1

    def add_notes(self, directory: str) -> None:
        """Add the member whose comment lists the remarks, if there are any."""
        if self._notes:
            member = _member(".", os.stat(directory), tarfile.DIRTYPE)  # noqa: PTH116
            more = [f"and {self._more} more"] if self._more else []
            member.pax_headers = {"comment": "\n".join(self._notes + more)}
            self._archive.addfile(member)

    def add(self, entry: os.DirEntry[str], name: str) -> bool:
        """Add one entry, a directory without its content; report whether it is a directory."""
        try:
            status = entry.stat(follow_symlinks=False)
            kind = _TYPES.get(stat.S_IFMT(status.st_mode))
            if kind is None:
                self.note(name, "omitted: not a file, directory or link")
                return False
            if kind == tarfile.REGTYPE:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                file = os.fdopen(os.open(entry.path, flags), "rb", buffering=0)
            else:
                member = _member(name, status, kind)
                if kind == tarfile.SYMTYPE:
                    member.linkname = os.readlink(entry.path)  # noqa: PTH115
        except OSError as error:
            self.note(name, str(error.strerror))
            return False
        if kind == tarfile.REGTYPE:
            with file:
                self._add_file(file, name)
        else:
            self._archive.addfile(member)
        # tarfile keeps every member in memory otherwise.
        self._archive.members.clear()
        return bool(kind == tarfile.DIRTYPE)

    def _add_file(self, file: BinaryIO, name: str) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            self.note(name, "omitted: no longer a file")
            return
        member = _member(name, status, tarfile.REGTYPE)
        key = (status.st_dev, status.st_ino)
        known = self._links.get(key)
        if known is not None:
            member.type, member.linkname = tarfile.LNKTYPE, known
            self._archive.addfile(member)
            return
        member.size = status.st_size
        content = _Exactly(file)
        self._archive.addfile(member, content)
        if status.st_nlink > 1:
            self._links[key] = name
        now = os.fstat(file.fileno())
        if content.remark:
            self.note(name, content.remark)
        elif (now.st_size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            self.note(name, "changed while it was read")


class _Exactly:
    """A file that returns exactly the requested bytes: zeros beyond its end.

    ``remark`` says so then, else it is empty.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.remark = ""

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and not self.remark:
            try:
                block = self._file.read(size - len(data))
                if not block:
                    self.remark = "shrank while it was read; padded with zeros"
            except OSError as error:
                block = b""
                self.remark = f"{error.strerror}; padded with zeros"
            data = data + block if data else block
        return data + bytes(size - len(data)) if len(data) < size else data


def _member(name: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = status.st_mode
    member.uid, member.gid = status.st_uid, status.st_gid
    member.uname, member.gname = _user(status.st_uid), _group(status.st_gid)
    member.mtime = status.st_mtime
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

"""Reading an index at a glance, for what only looks at it.

Of 10,000 files dulwich takes longer to read the index than to look at every file. What is read
here is the usual kind alone: version 2 of gitformat-index(5), nothing in conflict, complete in
one file. Anything else is left to dulwich.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
from dulwich.index import IndexEntry
from dulwich.objects import ObjectID

_HEADER = struct.Struct(">4sLL")
_ENTRY = struct.Struct(">10L20sH")
_EXTENSION = struct.Struct(">4sL")
_STAGE_OR_EXTENDED = 0x7000
_ASSUME_VALID = 0x8000
_CHECKSUM = 20
_ROOT = re.compile(rb"\0\d+ \d+\n(.{20})", re.DOTALL)
"""The first entry of the cached trees, if it is valid: else its count is -1."""


class Glance(msgspec.Struct, frozen=True):
    """What an index holds."""

    entries: dict[bytes, IndexEntry]
    tree: bytes | None = None
    """The tree that a commit of it would have, if that is known."""


def glance(path: Path) -> Glance | None:
    """The index at ``path``; None if it is of another kind, or broken."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Glance({})
    if data[:8] != b"DIRC\0\0\0\2" or not is_whole(data):
        return None
    entries: dict[bytes, IndexEntry] = {}
    place = _HEADER.size
    for _ in range(_HEADER.unpack_from(data)[2]):
        (
            *(ctime, ctime_ns, mtime, mtime_ns, dev, ino, mode, uid, gid, size),
            sha,
            flags,
        ) = _ENTRY.unpack_from(data, place)
        if flags & _STAGE_OR_EXTENDED:
            return None
        begin = place + _ENTRY.size
        end = data.index(b"\0", begin)
        entries[data[begin:end]] = IndexEntry(
            (ctime, ctime_ns),
            (mtime, mtime_ns),
            dev,
            ino,
            mode,
            uid,
            gid,
            size,
            ObjectID(sha.hex().encode()),
            flags & _ASSUME_VALID,
        )
        # Entries are padded with one to eight NULs to a multiple of eight bytes.
        place += (end - place + 8) & ~7
    extensions = dict(_extensions(data, place))
    if any(not name[:1].isupper() for name in extensions):
        return None  # One that must be understood: the entries may not be all.
    root = _ROOT.match(extensions.get(b"TREE", b""))
    return Glance(entries, root[1].hex().encode() if root else None)


def is_whole(data: bytes) -> bool:
    """Whether the checksum is right; ``index.skipHash`` leaves zeros there, which is not."""
    return hashlib.sha1(data[:-_CHECKSUM], usedforsecurity=False).digest() == data[-_CHECKSUM:]


def _extensions(data: bytes, place: int) -> Iterator[tuple[bytes, bytes]]:
    while place < len(data) - _CHECKSUM:
        name, length = _EXTENSION.unpack_from(data, place)
        place += _EXTENSION.size
        yield name, data[place : place + length]
        place += length

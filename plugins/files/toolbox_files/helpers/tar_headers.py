"""Headers of members of tar archives, as pax(1) has them: "ustar Interchange Format" and "pax
Interchange Format".

Those of ``tarfile`` are the same, and take six times as long.
"""

from __future__ import annotations

# Nothing here imports functools or collections: that takes longer than packing 300 files.
import grp
import os
import pwd

TYPE_CHECKING = False  # That of typing, which takes longer still.
if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 512
"""Bytes; every header has as many, and what follows it is padded to a multiple."""

RECORD = 20 * BLOCK
"""Bytes; an archive is padded to a multiple."""

REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"
_EXTENDED = b"x"

_MAX_NAME = 100
_MAX_OWNER = 32
_MAX_ID = 0o7777777
_MAX_NUMBER = 0o77777777777

_MAGIC = b"ustar\x0000"
_SECOND = 1_000_000_000
"""Nanoseconds."""

_SHORTEST = 1_000_000_000
"""The first second of ten digits, in 2001; 11 digits come after 2286."""

Records = tuple[tuple[bytes, bytes], ...]
"""Keywords and values of an extended header, for what the header itself has no room."""


def header(
    name: bytes,
    status: os.stat_result,
    kind: bytes,
    *,
    size: int = 0,
    link: bytes = b"",
    comment: bytes = b"",
) -> bytes:
    """Return the header of a member with the owner, mode and time in ``status``, after its extended
    header if it needs one.

    ``size`` is that of the content in bytes; ``link`` is the target of a link. Values that aren't
    UTF-8 are kept, and marked as ``hdrcharset=BINARY``.
    """
    seconds, fraction = divmod(status.st_mtime_ns, _SECOND)
    owner = _owner(status.st_mode & 0o7777, status.st_uid, status.st_gid, kind)
    is_plain = len(name) <= _MAX_NAME and name.isascii() and size <= _MAX_NUMBER
    if is_plain and _SHORTEST <= seconds <= _MAX_NUMBER and not (link or comment or owner.records):
        # Nearly all files: only the fraction of a second has no room. 3 us instead of 6.
        return _timed(seconds, fraction) + _block(
            name, b"", b"%011o\0%011o\0" % (size, seconds), owner
        )
    records = [*owner.records, *_text(b"path", name, _MAX_NAME)]
    if link:
        records += _text(b"linkpath", link, _MAX_NAME)
    if comment:
        records.append((b"comment", comment))
    if size > _MAX_NUMBER:
        records.append((b"size", b"%d" % size))
        size = 0
    if fraction or not 0 <= seconds <= _MAX_NUMBER:
        records.append((b"mtime", _time(status.st_mtime_ns)))
        seconds = min(max(seconds, 0), _MAX_NUMBER)
    numbers = b"%011o\0%011o\0" % (size, seconds)
    block = _block(name, link, numbers, owner)
    return _extended(records) + block if records else block


def padding(size: int, unit: int = BLOCK) -> bytes:
    """Return the zeros after ``size`` bytes."""
    return bytes(-size % unit)


class _Owner:
    """The fields of a header that many members have in common."""

    def __init__(self, mode: bytes, kind: bytes, end: bytes, records: Records = ()) -> None:
        self.mode = mode
        """Mode, user id and group id."""
        self.kind = kind
        self.end = end
        """All after the name of a link's target."""
        self.records = records
        self.sum = sum(mode + kind + end) + 8 * ord(" ")
        """Sum of their bytes, and of the blanks that stand for the checksum."""


_owners: dict[tuple[int, int, int, bytes], _Owner] = {}
"""Those of the archive by mode, ids and kind: files of a tree share few of them."""

_MOST_OWNERS = 4096


def _owner(mode: int, uid: int, gid: int, kind: bytes) -> _Owner:
    key = mode, uid, gid, kind
    if (found := _owners.get(key)) is None:
        if len(_owners) >= _MOST_OWNERS:
            _owners.clear()
        found = _owners[key] = _make_owner(*key)
    return found


def _make_owner(mode: int, uid: int, gid: int, kind: bytes) -> _Owner:
    records: list[tuple[bytes, bytes]] = []
    for keyword, number in ((b"uid", uid), (b"gid", gid)):
        if number > _MAX_ID:
            records.append((keyword, b"%d" % number))
    user, group = _name(lambda: pwd.getpwuid(uid).pw_name), _name(lambda: grp.getgrgid(gid).gr_name)
    records += _text(b"uname", user, _MAX_OWNER)
    records += _text(b"gname", group, _MAX_OWNER)
    ids = [number if number <= _MAX_ID else 0 for number in (uid, gid)]
    fields = b"%07o\0%07o\0%07o\0" % (mode, *ids)
    end = _MAGIC + _field(user, _MAX_OWNER) + _field(group, _MAX_OWNER)
    end = _field(end, BLOCK - 257)
    return _Owner(fields, kind, end, tuple(records))


def _name(find: Callable[[], str]) -> bytes:
    try:
        return os.fsencode(find())
    except KeyError:
        return b""


def _field(value: bytes, size: int) -> bytes:
    return value[:size].ljust(size, b"\0")


def _text(keyword: bytes, value: bytes, size: int) -> Records:
    return () if len(value) <= size and value.isascii() else ((keyword, value),)


def _timed(seconds: int, fraction: int) -> bytes:
    """Return the extended header with a time of ten digits and its fraction."""
    return _TIMED % (seconds, fraction) if fraction else b""


def _time(nanoseconds: int) -> bytes:
    seconds, fraction = divmod(abs(nanoseconds), _SECOND)
    return b"%s%d.%09d" % (b"-" if nanoseconds < 0 else b"", seconds, fraction)


def _block(name: bytes, link: bytes, numbers: bytes, owner: _Owner) -> bytes:
    name, link = name[:_MAX_NAME], link[:_MAX_NAME]
    # Without the zeros, which are most of a header, the sum takes an eighth of the time.
    checksum = owner.sum + sum(name + link + numbers)
    return b"%b%b%b%06o\0 %b%b%b" % (
        name.ljust(_MAX_NAME, b"\0"),
        owner.mode,
        numbers,
        checksum,
        owner.kind,
        link.ljust(_MAX_NAME, b"\0"),
        owner.end,
    )


def _extended(records: list[tuple[bytes, bytes]]) -> bytes:
    if not all(_is_utf8(value) for _, value in records):
        records = [(b"hdrcharset", b"BINARY"), *records]
    content = b"".join(_record(keyword, value) for keyword, value in records)
    return _extended_block(len(content)) + content + padding(len(content))


def _extended_block(size: int) -> bytes:
    owner = _Owner(bytes(8 * 3), _EXTENDED, _field(_MAGIC, BLOCK - 257))
    return _block(b"././@PaxHeader", b"", b"%011o\0%011o\0" % (size, 0), owner)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _record(keyword: bytes, value: bytes) -> bytes:
    """Return a line that begins with its own length, the digits of that included."""
    rest = len(keyword) + len(value) + 3
    size = rest + len(str(rest))
    size = rest + len(str(size))
    return b"%d %b=%b\n" % (size, keyword, value)


_TIMED = _extended_block(30) + b"30 mtime=%d.%09d\n" + padding(30)

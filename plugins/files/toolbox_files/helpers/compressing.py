"""Compressing and decompressing streams.

Each library is imported when it is needed; ``zstd`` is part of Python from 3.14.
"""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False  # That of typing, which takes longer to import than all else here.
if TYPE_CHECKING:
    from typing import Any
    from typing import BinaryIO

BLOCK = 1024 * 1024
"""Bytes read or written at once."""

SMALL = 4 * 1024
"""Bytes that are collected before they are written."""

GZIP_LEVEL = 5
"""Half the time of the default 6, for one percent more size."""

_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
"""Magic numbers of skippable frames, with which a zstd stream may begin (RFC 8878, 3.1.2)."""

_MAGIC: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("gz", (b"\x1f\x8b",)),
    ("bz2", (b"BZh",)),
    ("xz", (b"\xfd7zXZ\0", b"\x5d\0\0")),
    ("zst", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE)),
)


def compressed(target: io.RawIOBase, kind: str) -> io.BufferedIOBase:
    """Return a stream that compresses to ``target``: ``tar`` (not), ``tar.gz`` or ``tar.zst``.

    Close it to write the end of the compressed data. What is written to it should be large.
    """
    raw: Any = target
    if kind == "tar.gz":
        import gzip

        raw = gzip.GzipFile(fileobj=raw, mode="wb", filename="", compresslevel=GZIP_LEVEL)
    elif kind == "tar.zst":
        raw = _zstd().ZstdFile(raw, "wb")
    # Small: what is larger is not copied.
    return io.BufferedWriter(raw, SMALL)


def decompressed(source: io.RawIOBase) -> BinaryIO:
    """Return a stream of ``source``, decompressed if it is gzip, bzip2, xz or zstd.

    Reading it to its end reads ``source`` to its end. Reading raises the errors of the library:
    OSError, EOFError and its own.
    """
    start = _read_start(source)
    kind = next((kind for kind, magic in _MAGIC if start.startswith(magic)), "")
    # A pipe can't seek back to its start.
    whole = io.BufferedReader(_Rejoined(start, source), BLOCK)
    raw: Any = whole
    if kind == "gz":
        import gzip

        raw = gzip.GzipFile(fileobj=whole, mode="rb")
    elif kind == "bz2":
        import bz2

        raw = bz2.BZ2File(whole)
    elif kind == "xz":
        import lzma

        raw = lzma.LZMAFile(whole)  # noqa: SIM115
    elif kind == "zst":
        raw = _zstd().ZstdFile(whole)
    return io.BufferedReader(raw, BLOCK) if kind else whole


def _read_start(source: io.RawIOBase) -> bytes:
    """Read as many bytes as the longest magic number; one read of a pipe may return fewer."""
    start = b""
    while len(start) < 8 and (more := source.read(8 - len(start))):
        start += more
    return start


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have already been read."""

    def __init__(self, start: bytes, rest: io.RawIOBase) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._start:
            return self._rest.readinto(buffer)
        count = min(len(buffer), len(self._start))
        buffer[:count] = self._start[:count]
        self._start = self._start[count:]
        return count


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd

"""Streams that compress what is written to them, or decompress what is read.

Each library is imported when it is needed; ``zstd`` is a part of Python from 3.14.
"""

from __future__ import annotations

import io
import sys
from typing import Any
from typing import BinaryIO

BLOCK = 1024 * 1024

GZIP_LEVEL = 5
"""Half the time of gzip's own 6, for one percent of the size."""

_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))
"""RFC 8878, 3.1.2: what a zstd stream may begin with beside its magic number."""

_MAGIC: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("gz", (b"\x1f\x8b",)),
    ("bz2", (b"BZh",)),
    ("xz", (b"\xfd7zXZ\0", b"\x5d\0\0")),
    ("zst", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE)),
)


def compressed(target: io.RawIOBase, kind: str) -> BinaryIO:
    """A stream whose content goes to ``target`` as ``kind``: ``tar``, ``tar.gz``, ``tar.zst``.

    Closing it completes what is written.
    """
    raw: Any = target
    if kind == "tar.gz":
        import gzip

        raw = gzip.GzipFile(fileobj=raw, mode="wb", filename="", compresslevel=GZIP_LEVEL)
    elif kind == "tar.zst":
        raw = _zstd().ZstdFile(raw, "wb")
    return io.BufferedWriter(raw, BLOCK)


def decompressed(source: io.RawIOBase) -> BinaryIO:
    """What ``source`` holds, decompressed if it begins as gzip, bzip2, xz or zstd does.

    Reading it to its end reads ``source`` to its end. Raises what the library raises: OSError,
    EOFError and errors of its own.
    """
    begin = _begin(source)
    kind = next((kind for kind, magic in _MAGIC if begin.startswith(magic)), "")
    whole = io.BufferedReader(_Rejoined(begin, source), BLOCK)
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


def _begin(source: io.RawIOBase) -> bytes:
    """The first bytes, as many as tell the compression: a pipe may give fewer at once."""
    begin = b""
    while len(begin) < 8 and (more := source.read(8 - len(begin))):
        begin += more
    return begin


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have been read already."""

    def __init__(self, begin: bytes, rest: io.RawIOBase) -> None:
        self._begin = begin
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._begin:
            return self._rest.readinto(buffer)
        count = min(len(buffer), len(self._begin))
        buffer[:count] = self._begin[:count]
        self._begin = self._begin[count:]
        return count


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd

"""A stream that tar archives are written to or read from, in one direction."""

from __future__ import annotations

from typing import BinaryIO

from toolbox_files.helpers.compressing import BLOCK


class TarStream:
    """Knows its place in ``stream``, and goes forward only.

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

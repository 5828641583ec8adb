"""A stream of a tar archive, read or written in one direction."""

from __future__ import annotations

from typing import BinaryIO

from toolbox_files.helpers.compressing import BLOCK


class TarStream:
    """A file object for ``tarfile`` that knows its offset in ``stream`` and only seeks forward.

    The streams of ``tarfile`` itself copy their whole buffer for every member.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._offset = 0

    def tell(self) -> int:
        return self._offset

    def write(self, data: bytes) -> int:
        self._offset += len(data)
        return self._stream.write(data)

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._offset += len(data)
        return data

    def seek(self, offset: int) -> None:
        while self._offset < offset and self.read(min(BLOCK, offset - self._offset)):
            pass

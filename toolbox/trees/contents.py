"""The contents of files, copied by the cheapest way that the file systems offer."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

FICLONE = 0x40049409
"""Share the blocks of another file until one of them is written: ioctl_ficlone(2)."""

PIECE = 64 * 1024**2
"""Bytes copied between two checks whether the copy is still wanted."""

BUFFER = 1024**2
"""Bytes read at once where the kernel can't copy by itself."""

_NO_CLONES = {errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EACCES}
_NO_RANGES = {errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EINVAL}


class Contents:
    """Copies contents between two file systems, and remembers which ways they lack.

    ``check`` is called often; it raises if the copy isn't wanted any more.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._clones = True
        self._ranges = True

    def copy(self, source: int, target: int, status: os.stat_result) -> None:
        """Fill the empty file ``target`` with the content of ``source``; holes stay holes.

        Raises OSError.
        """
        if not status.st_size or (self._clones and self._clone(source, target)):
            return
        end = 0
        for start, end in _segments(source, status):
            self._copy_range(source, target, start, end)
        # A hole at the end has no segment that would give the file its length.
        if end < status.st_size:
            os.ftruncate(target, status.st_size)

    def _clone(self, source: int, target: int) -> bool:
        try:
            fcntl.ioctl(target, FICLONE, source)
        except OSError as error:
            self._clones = error.errno not in _NO_CLONES
            # Some files of a file system can't be cloned, such as those it doesn't checksum.
            if self._clones and error.errno != errno.EINVAL:
                raise
            return False
        return True

    def _copy_range(self, source: int, target: int, start: int, end: int) -> None:
        while start < end:
            self._check()
            count = self._move(source, target, start, min(PIECE, end - start))
            if not count:
                return  # The file has been cut meanwhile.
            start += count

    def _move(self, source: int, target: int, start: int, count: int) -> int:
        if self._ranges:
            try:
                return os.copy_file_range(source, target, count, start, start)
            except OSError as error:
                if error.errno not in _NO_RANGES:
                    raise
                self._ranges = False
        return os.pwrite(target, os.pread(source, min(BUFFER, count), start), start)


def _segments(file: int, status: os.stat_result) -> Iterable[tuple[int, int]]:
    """Return the start and end of each part of a file that is no hole."""
    # As many blocks as the size takes leave no room for a hole: the usual case.
    if status.st_blocks * 512 >= status.st_size:
        return ((0, status.st_size),)
    return _between_holes(file, status.st_size)


def _between_holes(file: int, size: int) -> Iterator[tuple[int, int]]:
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
            end = os.lseek(file, start, os.SEEK_HOLE)
        except OSError as error:
            # The rest is a hole, or the file has been cut meanwhile.
            if error.errno == errno.ENXIO:
                return
            raise
        yield start, end

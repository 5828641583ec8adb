"""Packing directories as tar archives; concurrent changes of files never fail the archive.

As in tar(1), a file has the size in the archive that it had when it was opened: it is padded with
zeros if it shrinks, and cut off if it grows. Files that can't be read or were deleted are omitted.
A last member, ``.``, lists all of these in its extended header ``comment`` (pax(1)), if any.
"""

# Nothing here imports typing, re or what imports them: that takes longer than packing 500 files.

from __future__ import annotations

import io
import os
import stat

from toolbox_files.helpers.compressing import BLOCK
from toolbox_files.helpers.compressing import compressed
from toolbox_files.helpers.entries import sorted_entries
from toolbox_files.helpers.tar_headers import BLOCK as TAR_BLOCK
from toolbox_files.helpers.tar_headers import DIRECTORY
from toolbox_files.helpers.tar_headers import HARD_LINK
from toolbox_files.helpers.tar_headers import RECORD
from toolbox_files.helpers.tar_headers import REGULAR
from toolbox_files.helpers.tar_headers import SYMBOLIC_LINK
from toolbox_files.helpers.tar_headers import header
from toolbox_files.helpers.tar_headers import padding

MAX_NOTES = 1000
"""Maximum files listed in the comment."""

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def pack(directory: str, target: io.RawIOBase, kind: str) -> None:
    """Write everything below ``directory``, links as links, with names relative to it.

    Sockets, FIFOs and devices are omitted: no unpacker accepts them. Raises OSError if
    ``directory`` can't be read or ``target`` can't be written.
    """
    with compressed(target, kind) as stream:
        writer = _Writer(stream)
        # A stack, not recursion: trees may be deeper than Python's stack.
        pending = [""]
        while pending:
            prefix = pending.pop()
            try:
                below = writer.add_directory(f"{directory}/{prefix}", prefix)
            except OSError as error:
                if not prefix:
                    error.filename = directory
                    raise
                writer.note(prefix, str(error.strerror))
            else:
                pending += below
        writer.finish(directory)


class _Writer:
    """Writes members to ``stream``, in constant memory but for hard links.

    Files are read to where they are written from: that and the imports left out make a tenth of the
    processor's time for 5,000 files.
    """

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._size = 0
        self._buffer = memoryview(bytearray(BLOCK))
        self._filled = 0
        """Bytes at the beginning of the buffer that are still to be written."""
        self._links: dict[tuple[int, int], bytes] = {}
        self._notes: list[str] = []
        self._more = 0

    def note(self, name: str, remark: str) -> None:
        """Record a remark on ``name`` for the comment."""
        if len(self._notes) < MAX_NOTES:
            self._notes.append(f"{name}: {remark}")
        else:
            self._more += 1

    def finish(self, directory: str) -> None:
        """Add the member whose comment lists the remarks, if there are any, and the end."""
        if self._notes:
            more = [f"and {self._more} more"] if self._more else []
            comment = os.fsencode("\n".join(self._notes + more))
            status = os.stat(directory)  # noqa: PTH116
            self._write(header(b"./", status, DIRECTORY, comment=comment))
        self._write(bytes(2 * TAR_BLOCK))
        self._write(padding(self._size, RECORD))
        self._flush()

    def add_directory(self, path: str, prefix: str) -> list[str]:
        """Add the entries of a directory; return the prefixes of those that are directories.

        Raises OSError if it can't be read.
        """
        # A link in the place of a directory below isn't followed; the directory itself may be one.
        stay = os.O_NOFOLLOW if prefix else 0
        fd = os.open(path.rstrip("/") or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | stay)
        try:
            return [
                f"{prefix}{entry.name}/"
                for entry in sorted_entries(fd)
                if self._add(entry, fd, prefix + entry.name)
            ]
        finally:
            os.close(fd)

    def _add(self, entry: os.DirEntry[str], parent: int, name: str) -> bool:
        """Add one entry, a directory without its content; report whether it is a directory."""
        try:
            fd, status, link = _open(entry, parent)
        except OSError as error:
            self.note(name, str(error.strerror))
            return False
        if fd >= 0:
            try:
                self._add_file(fd, status, name)
            finally:
                os.close(fd)
        elif stat.S_ISLNK(status.st_mode):
            target = os.fsencode(link)
            self._write(header(os.fsencode(name), status, SYMBOLIC_LINK, link=target))
        elif stat.S_ISDIR(status.st_mode):
            self._write(header(os.fsencode(name) + b"/", status, DIRECTORY))
            return True
        else:
            self.note(name, "omitted: not a file, directory or link")
        return False

    def _add_file(self, fd: int, status: os.stat_result, name: str) -> None:
        encoded = os.fsencode(name)
        if status.st_nlink > 1:
            known = self._links.setdefault((status.st_dev, status.st_ino), encoded)
            if known is not encoded:
                self._write(header(encoded, status, HARD_LINK, link=known))
                return
        size = status.st_size
        self._write(header(encoded, status, REGULAR, size=size))
        remark = "" if self._copy_at_once(fd, size) else self._copy(fd, size)
        now = os.fstat(fd)
        if remark:
            self.note(name, remark)
        elif (now.st_size, now.st_mtime_ns) != (size, status.st_mtime_ns):
            self.note(name, "changed while it was read")

    def _copy_at_once(self, fd: int, size: int) -> bool:
        """Add a file and its padding by one read into the buffer; report whether that was possible:
        it fits, can be read and hasn't shrunk.
        """
        gap = -size % TAR_BLOCK
        if size + gap > BLOCK:
            return False
        if size + gap > BLOCK - self._filled:
            self._flush()
        start = self._filled
        end = start + size
        try:
            if os.preadv(fd, [self._buffer[start:end]], 0) < size:
                return False
        except OSError:
            return False
        self._buffer[end : end + gap] = bytes(gap)
        self._filled = end + gap
        self._size += size + gap
        return True

    def _copy(self, fd: int, size: int) -> str:
        """Write ``size`` bytes of a file, zeros beyond its end, and its padding; return a remark on
        that, or "".
        """
        self._flush()
        remark = ""
        left = size
        while left:
            block = self._buffer[: min(left, BLOCK)]
            if not remark:
                try:
                    # Into one buffer: a new one for each block of a large file would be zeroed.
                    block = block[: os.readv(fd, [block])]
                    remark = "" if block else "shrank while it was read; padded with zeros"
                except OSError as error:
                    remark = f"{error.strerror}; padded with zeros"
            if remark:
                block = memoryview(bytes(min(left, BLOCK)))
            self._stream.write(block)
            left -= len(block)
        self._size += size
        self._write(padding(size))
        return remark

    def _write(self, data: bytes) -> None:
        size = len(data)
        if size > BLOCK - self._filled:
            self._flush()
            if size > BLOCK:  # A comment may be that long.
                self._stream.write(data)
                self._size += size
                return
        self._buffer[self._filled : self._filled + size] = data
        self._filled += size
        self._size += size

    def _flush(self) -> None:
        self._stream.write(self._buffer[: self._filled])
        self._filled = 0


def _open(entry: os.DirEntry[str], parent: int) -> tuple[int, os.stat_result, str]:
    """Return a descriptor of a regular file, -1 for all else, the status, and a link's target."""
    # The status of a file is that of the open one; asking before, too, took 15 % of the time.
    if entry.is_file(follow_symlinks=False):
        fd = os.open(entry.name, _FLAGS, dir_fd=parent)
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return fd, status, ""
        os.close(fd)  # It has been replaced since the directory was read.
    status = entry.stat(follow_symlinks=False)
    link = os.readlink(entry.name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else ""
    return -1, status, link

"""The parcel that an old worker hands over: contents by group, and open descriptors.

It travels over a socket pair in one piece: a header, the contents, then the descriptors in batches
(SCM_RIGHTS, unix(7)). The contents are of the groups themselves, each with a version of its own.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

import msgspec

FORMAT = 1
"""Version of the header and of how the rest follows. Another one is refused by the check that comes
before anything is handed over.
"""

BATCH = 128
"""Descriptors in one message; the kernel takes 253 (SCM_MAX_FD)."""

_HEADER = struct.Struct("!IIQ")

_decoder = msgspec.msgpack.Decoder(dict[str, bytes])


class Parcel:
    """The contents, and the descriptors that they name by index."""

    def __init__(
        self, contents: dict[str, bytes] | None = None, fds: list[int] | None = None
    ) -> None:
        self.contents = contents or {}
        self.pids: set[int] = set()
        """Programs that go on. Not sent: their state is in the contents."""
        self.counts: dict[str, int] = {}
        """Things that go on, by kind, for the report. Not sent."""
        self.ended: list[dict[str, str]] = []
        """Things that end, each with ``kind``, ``id`` and ``reason``. Not sent."""
        self.fds = fds or []

    def add(self, fd: int) -> int:
        """Add a descriptor, which stays the caller's; return its index."""
        self.fds.append(fd)
        return len(self.fds) - 1

    def take(self, index: int) -> int:
        """Return a descriptor, which is the caller's from now on. Raises LookupError."""
        if not 0 <= index < len(self.fds) or self.fds[index] < 0:
            raise LookupError(f"no descriptor {index}")
        fd, self.fds[index] = self.fds[index], -1
        return fd

    def close(self) -> None:
        """Close the descriptors that nobody has taken."""
        for fd in self.fds:
            if fd >= 0:
                with suppress(OSError):
                    os.close(fd)
        self.fds = []

    def send(self, sock: socket.socket) -> None:
        """Send everything. Raises OSError."""
        contents = msgspec.msgpack.encode(self.contents)
        sock.sendall(_HEADER.pack(FORMAT, len(self.fds), len(contents)))
        sock.sendall(contents)
        for start in range(0, len(self.fds), BATCH):
            socket.send_fds(sock, [b"\0"], self.fds[start : start + BATCH])


def receive(sock: socket.socket) -> Parcel:
    """Return what is sent by :meth:`Parcel.send`. Raises EOFError if it isn't complete, ValueError
    if it is of another format, OSError.
    """
    number, count, length = _HEADER.unpack(_exactly(sock, _HEADER.size))
    if number != FORMAT:
        raise ValueError(f"a parcel of format {number}; this version reads format {FORMAT}")
    contents = _decoder.decode(_exactly(sock, length))
    parcel = Parcel(contents)
    try:
        while (left := count - len(parcel.fds)) > 0:
            data, fds, flags, _ = socket.recv_fds(
                sock, 1, min(left, BATCH), socket.MSG_CMSG_CLOEXEC
            )
            parcel.fds += fds
            if not data:
                raise EOFError("the descriptors are incomplete")
            # As when this process may not have as many descriptors as the old one had.
            if flags & socket.MSG_CTRUNC or len(fds) != min(left, BATCH):
                raise EOFError("descriptors were lost")
    except BaseException:
        parcel.close()
        raise
    return parcel


def _exactly(sock: socket.socket, size: int) -> memoryview:
    buffer = memoryview(bytearray(size))
    at = 0
    while at < size:
        count = sock.recv_into(buffer[at:])
        if not count:
            raise EOFError("the contents are incomplete")
        at += count
    return buffer

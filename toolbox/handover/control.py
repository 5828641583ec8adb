"""Messages between the master and each of its workers, on a socket pair that outlives both codes.

A message is a JSON object with its ``kind``. Each side ignores kinds and fields that it doesn't
know, since after an upgrade the two may be of different versions.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections import deque
from contextlib import suppress
from typing import Any

LONGEST = 64 * 1024
"""Bytes of a message at most; one that is longer is cut, and ignored."""

Message = dict[str, Any]


class Control:
    """One end. It never blocks: what the other end doesn't take yet waits here."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._waiting: deque[tuple[bytes, list[int]]] = deque()

    @classmethod
    def pair(cls) -> tuple[Control, Control]:
        """Return both ends of a new one. Raises OSError."""
        # Packets: whoever reads gets whole messages, though both sides may be replaced in between.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    def send(self, message: Message, fd: int = -1) -> None:
        """Send a message, with a copy of a descriptor."""
        # A copy: the caller may close its own before this is sent.
        fds = [] if fd < 0 else [os.dup(fd)]
        self._waiting.append((json.dumps(message).encode(), fds))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the other end takes it."""
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                socket.send_fds(self.sock, [data], fds)
            except BlockingIOError:
                return
            except OSError:
                pass  # The other end has ended, and needs no messages.
            self._waiting.popleft()
            for fd in fds:
                os.close(fd)

    def receive(self) -> list[tuple[Message, int]]:
        """Return the messages that have come, each with its descriptor or -1."""
        found: list[tuple[Message, int]] = []
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:  # Nothing more has come, or the other end is gone.
                return found
            if not data:
                return found
            # Of another version, or cut: nothing that anybody here could act on.
            message: Any = None
            with suppress(ValueError):
                message = json.loads(data)
            if isinstance(message, dict):
                found.append((message, fds.pop() if fds else -1))
            for fd in fds:
                os.close(fd)

    def close(self) -> None:
        """Close this end."""
        for _, fds in self._waiting:
            for fd in fds:
                os.close(fd)
        self._waiting.clear()
        self.sock.close()


def wake(master: int) -> None:
    """Let the master look for messages now, and not at its next round."""
    # The master sleeps until a signal comes; this one makes it look around, and nothing else.
    with suppress(OSError):
        os.kill(master, signal.SIGCHLD)

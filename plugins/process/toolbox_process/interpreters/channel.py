"""The channel to an interpreter's process, which carries requests and outcomes as JSON lines."""

from __future__ import annotations

import socket
from collections.abc import Callable

from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox_process.engine.stdin_writer import StdinWriter

MAX_OUTCOME = 64 * 1024 * 1024
"""Maximum bytes of an outcome; a process that sends more is killed."""

READ = 64 * 1024
"""Bytes read at once."""


class Channel:
    """One end of a socket pair. Everything here runs on the loop.

    Calls ``on_line(line)`` for each line. Calls ``on_broken(closed)`` once, when nothing more can
    arrive: the process has ``closed`` its end, or the line is too long.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_line: Callable[[bytes], object],
        on_broken: Callable[[bool], object],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._on_line = on_line
        self._on_broken = on_broken
        self._received = bytearray()
        sock.setblocking(False)
        self._writer = StdinWriter(loop, sock.fileno(), own=False)
        loop.add(sock.fileno(), IN, lambda events: self._read())

    def send(self, line: bytes) -> None:
        """Send one line; the newline is added. Raises InputClosed, InputFull."""
        self._writer.write(line + b"\n")

    def _read(self) -> None:
        try:
            data = self._sock.recv(READ)
        # A spurious wake-up (epoll(7)).
        except BlockingIOError:
            return
        except OSError:
            # Reset: the process has ended with requests unread.
            data = b""
        if not data or len(self._received) > MAX_OUTCOME:
            self._loop.remove(self._sock.fileno())
            self._on_broken(not data)
            return
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        for line in lines:
            self._on_line(bytes(line))

    def close(self) -> None:
        """Close our end."""
        self._loop.remove(self._sock.fileno())
        self._writer.abort()
        self._sock.close()

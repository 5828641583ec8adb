"""Looking whether a server on loopback is ready, on the I/O loop, which is never blocked."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable

from toolbox.sockets.loop import IN
from toolbox.sockets.loop import OUT
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer
from toolbox_process.definition import Target

LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
"""Node's servers listen on ::1 only if "localhost" resolves to that first."""

FIRST_PAUSE = 0.05
"""Seconds until the second look; each further pause is half as long again, up to the longest."""

LONGEST_PAUSE = 1.0

PATIENCE = 2.0
"""Seconds for a connection and the first line of a response."""

LONGEST_LINE = 1024
"""Bytes in which the first line of a response has to end."""

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\n]*)?\r?\n")
"""The first line of a response (RFC 9112, 4)."""


class ServerProbe:
    """Connects to a port of loopback, and makes a request if there is a path, until that succeeds.

    Calls ``passed()`` then. Used on the loop.
    """

    def __init__(
        self, loop: Loop, target: Target, status: int | None, passed: Callable[[], object]
    ) -> None:
        self._loop = loop
        self._target = target
        self._status = status
        self._passed = passed
        self._pause = FIRST_PAUSE
        self._turn = 0
        self._sock: socket.socket | None = None
        self._received = b""
        self._timer: Timer | None = None

    complaint = ""

    def begin(self) -> None:
        """Look for the first time."""
        self._look()

    def output(self) -> None:
        """Do nothing: output says nothing about a port."""

    def close(self) -> None:
        """Look no more."""
        self._hang_up()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        family, host = LOOPBACK[self._turn % len(LOOPBACK)]
        self._turn += 1
        self._received = b""
        try:
            self._sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(BlockingIOError):
                self._sock.connect((host, self._target.port))
            self._loop.add(self._sock.fileno(), OUT, lambda events: self._connected())
        except OSError:  # Refused at once, no IPv6 here, or no descriptor left.
            self._again()
            return
        self._timer = self._loop.call_later(PATIENCE, self._again)

    def _again(self) -> None:
        """Try the next address at once, or begin again after a pause."""
        self._hang_up()
        pause = 0.0
        # One pause for all addresses: a refusal comes at once.
        if self._turn % len(LOOPBACK) == 0:
            pause, self._pause = self._pause, min(LONGEST_PAUSE, self._pause * 1.5)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(pause, self._look)

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._loop.remove(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _connected(self) -> None:
        sock = self._sock
        if sock is None:
            return
        # A connection to a free port may get that very port at its own end, and so meet itself.
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or self._is_itself(sock):
            self._again()
        elif self._target.path is None:
            self._succeed()
        else:
            self._request(sock, self._target.path)

    @staticmethod
    def _is_itself(sock: socket.socket) -> bool:
        try:
            return bool(sock.getsockname() == sock.getpeername())
        except OSError:
            return True

    def _request(self, sock: socket.socket, path: str) -> None:
        # A name that servers for developers accept: some refuse requests for others.
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: localhost:{self._target.port}",
            "User-Agent: sandbox-toolbox",
            "Accept: */*",
            "Connection: close",
        )
        request = "\r\n".join((*lines, "", "")).encode("ascii")
        try:
            whole = sock.send(request) == len(request)  # The socket's buffer takes far more.
        except OSError:
            whole = False
        if whole:
            # Registered anew, since the callback is another.
            self._loop.remove(sock.fileno())
            self._loop.add(sock.fileno(), IN, lambda events: self._read(sock))
        else:
            self._again()

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        if b"\n" in self._received or len(self._received) >= LONGEST_LINE or not data:
            self._judge()

    def _judge(self) -> None:
        line = STATUS_LINE.match(self._received)
        status = int(line[1]) if line else 0
        # A redirection is a response, too. It is not followed: it may lead away from loopback.
        accepted = status == self._status if self._status else 200 <= status < 400
        if accepted:
            self._succeed()
        else:
            self._again()

    def _succeed(self) -> None:
        self.close()
        self._passed()

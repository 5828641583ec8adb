"""Two connections joined byte for byte, on the I/O loop: a tunnel has no thread."""

from __future__ import annotations

import socket

from toolbox.activity import Mark
from toolbox.sockets.handler import ABNORMAL
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import OnEnd
from toolbox.sockets.loop import HANGUP
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import OUT
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer

RECEIVE = 64 * 1024
"""Bytes of one read, and so the most that are buffered for one side."""

LINGER = 10.0
"""Seconds for one side to finish sending after the other has."""


class Tunnel:
    """Sends to each side what the other sends; a slow side stops the other (back-pressure).

    It doesn't parse frames: pings, compression and subprotocols are up to the two ends.
    Everything but ``start`` and ``close`` runs on the loop.
    """

    def __init__(
        self,
        client: socket.socket,
        upstream: socket.socket,
        to_client: bytes,
        to_upstream: bytes,
        loop: Loop,
        on_end: OnEnd,
    ) -> None:
        self.received_bytes = len(to_upstream)
        self.sent_bytes = 0
        self.last_data = Mark.now()
        self._loop = loop
        self._on_end = on_end
        self._client = _Side(client, to_client)
        self._upstream = _Side(upstream, to_upstream)
        self._timer: Timer | None = None
        self._ended = False
        _keep_alive(client)

    def start(self) -> None:
        """Start, from any thread."""
        self._loop.call_soon(self._start)

    def close(self, code: int, reason: str) -> None:
        """Close both connections, without a close frame: it could land in the middle of another."""
        self._loop.call_soon(lambda: self._end(code, reason))

    def _start(self) -> None:
        for side, other in self._sides():
            self._flush(side, other)
        self._watch()

    def _sides(self) -> tuple[tuple[_Side, _Side], tuple[_Side, _Side]]:
        return (self._client, self._upstream), (self._upstream, self._client)

    def _ready(self, side: _Side, other: _Side, events: int) -> None:
        if events & OUT:
            self._flush(side, other)
        if events & (IN | HANGUP) and not self._ended and not side.at_end and not other.waiting:
            self._read(side, other)
        self._watch()

    def _read(self, side: _Side, other: _Side) -> None:
        try:
            data = side.sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(ABNORMAL, error.strerror or "")
            return
        # Frames aren't parsed, so an application's pings count, too.
        self.last_data = Mark.now()
        if side is self._client:
            self.received_bytes += len(data)
        if not data:
            side.at_end = True
            self._timer = self._timer or self._loop.call_later(LINGER, self._give_up)
        other.waiting = data
        self._flush(other, side)

    def _flush(self, side: _Side, source: _Side) -> None:
        """Send what waits for ``side``, and then its end of stream if ``source`` is at its end."""
        try:
            if side.waiting and not self._ended:
                count = side.sock.send(side.waiting)
                side.waiting = side.waiting[count:]
                self.sent_bytes += count if side is self._client else 0
            if source.at_end and not side.waiting and not self._ended:
                side.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(ABNORMAL, error.strerror or "")

    def _watch(self) -> None:
        """Register the events that are waited for, or end if there are none."""
        if self._ended:
            return
        if all(side.at_end and not other.waiting for side, other in self._sides()):
            self._end(NORMAL, "")
            return
        for side, other in self._sides():
            wanted = OUT if side.waiting else 0
            if not side.at_end and not other.waiting:
                wanted |= IN
            self._set_events(side, other, wanted)

    def _set_events(self, side: _Side, other: _Side, wanted: int) -> None:
        if wanted == side.events:
            return
        # Without events it must be removed: epoll reports a hang-up again and again (epoll_ctl(2)).
        if not wanted:
            self._loop.remove(side.fd)
        elif side.events:
            self._loop.modify(side.fd, wanted)
        else:
            self._loop.add(side.fd, wanted, lambda events: self._ready(side, other, events))
        side.events = wanted

    def _give_up(self) -> None:
        self._end(NORMAL, "")

    def _end(self, code: int, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for side, _ in self._sides():
            if side.events:
                self._loop.remove(side.fd)
            side.sock.close()
        self._on_end(self, code, reason)


class _Side:
    """One of the two connections."""

    def __init__(self, sock: socket.socket, waiting: bytes) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.waiting = waiting
        """Bytes to be sent to it."""
        self.at_end = False
        """True once it has finished sending."""
        self.events = 0


def _keep_alive(sock: socket.socket) -> None:
    """Detect within two minutes that the client's machine is unreachable: nothing else would."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

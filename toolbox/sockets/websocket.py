"""WebSockets (RFC 6455) on sockets taken over from the server, driven by the one I/O loop.

No thread belongs to a socket; its :class:`toolbox.sockets.handler.SocketHandler` drives it.

Rules that clients depend on: pings get their pongs at once, never queued behind data; at most one
subprotocol is echoed, one that was offered; no compression; a close reason is cut to 123 bytes;
the last data is flushed before the close frame, and the peer gets a moment to return its own.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsproto.connection import Connection
from wsproto.connection import ConnectionState
from wsproto.connection import ConnectionType
from wsproto.events import CloseConnection
from wsproto.events import Event
from wsproto.events import Message
from wsproto.events import Ping

from toolbox.sockets import whole_frames
from toolbox.sockets.channel import Channel
from toolbox.sockets.channel import CountsTraffic
from toolbox.sockets.frames import Incoming
from toolbox.sockets.frames import TooMuch
from toolbox.sockets.frames import cut_reason
from toolbox.sockets.handler import ABNORMAL
from toolbox.sockets.handler import INTERNAL_ERROR
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import HANGUP
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import OUT

if TYPE_CHECKING:
    from toolbox.settings import WebSocketSettings
    from toolbox.sockets.loop import Loop
    from toolbox.sockets.loop import Timer

CLOSE_WAIT = 2.0
"""Seconds the peer has to return our close frame."""

TURN = 32
"""Frames of one socket that are processed before other sockets have their turn."""

log = logging.getLogger("toolbox")


class WebSocket(CountsTraffic):
    """The :class:`toolbox.sockets.handler.Socket` that handlers get. Public methods may be called
    from any thread.
    """

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        handler: SocketHandler,
        settings: WebSocketSettings,
        on_end: Callable[[WebSocket, int, str], object],
        greeting: bytes,
        early: bytes = b"",
        stranger: bool = False,
    ) -> None:
        self._behind = False
        self._loop = loop
        self._handler = handler
        self._settings = settings
        self._on_end = on_end
        self._protocol = Connection(ConnectionType.SERVER, trailing_data=early)
        self._incoming = Incoming(settings.max_message, stranger)
        # Everything below is guarded by the lock: any thread may send.
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._channel = Channel(sock, loop, greeting)
        self._writable = True
        self._ending: tuple[int, str] | None = None
        self._ended = False
        self._timer: Timer | None = None

    def start(self) -> None:
        """Send the greeting, in one packet with what the handler sends at once, and hand the
        socket to the loop.
        """
        self._channel.cork(True)
        with self._lock:
            self._flush()
        try:
            self._handler.opened(self)
        except Exception:
            log.exception("a WebSocket handler failed")
            self.close(INTERNAL_ERROR, "internal error")
        self._channel.cork(False)
        self._loop.call_soon(self._register)

    def _register(self) -> None:
        with self._lock:
            if self._ended:
                return
            self._channel.register(self._ready)
        self._timer = self._loop.call_later(self._settings.ping_interval, self._tick)
        self._take_events()

    @property
    def stranger(self) -> bool:
        """True until the client has shown a token."""
        return self._incoming.stranger

    def admit(self) -> None:
        self._incoming.stranger = False

    # Sending

    @property
    def writable(self) -> bool:
        return self._writable

    @property
    def closing(self) -> bool:
        return self._ending is not None

    def send(self, message: str | bytes) -> None:
        frame = whole_frames.whole_frame(message)
        waits = not self._loop.here
        with self._lock:
            while waits and not self._writable and self._ending is None:
                self._room.wait()
            if self._ending is not None:
                raise SocketClosed
            self._channel.output.add(frame)
            self._channel.note_data(self._handler.is_activity)
            # One message of any size may wait; it is the next ones that make a flood.
            flooded = self._channel.output.pending > 4 * self._settings.send_buffer + len(frame)
            if not self._channel.gathering:
                self._flush()
            if self._channel.output.pending > self._settings.send_buffer:
                self._writable = False
        if flooded:
            self.close(POLICY, "slow consumer")

    def gather(self, on: bool) -> None:
        with self._lock:
            self._channel.gathering = on
            self._flush()

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        cut = cut_reason(reason)
        with self._lock:
            if self._ending is not None:
                return
            self._ending = (code, cut)
            self._channel.output.add(self._protocol.send(CloseConnection(code, cut or None)))
            self._flush()
            self._room.notify_all()
        self._loop.call_later(CLOSE_WAIT, self._end)

    def abort(self) -> None:
        self._loop.call_soon(self._end)

    def pause(self) -> None:
        with self._lock:
            self._channel.pause(True)

    def resume(self) -> None:
        with self._lock:
            self._channel.pause(False)

    def _flush(self) -> None:
        try:
            self._channel.flush()
        except OSError:
            # Not here: _end() takes the lock, which the caller holds.
            self._loop.call_soon(self._end)
        if not self._writable and self._channel.output.pending <= self._settings.send_buffer // 2:
            # Any flush may have made room, also one for a pong.
            self._writable = True
            self._room.notify_all()
            self._loop.call_soon(self._report_drained)
        self._channel.watch()

    def _report_drained(self) -> None:
        if self._ending is None:
            self._handler.drained(self)

    # Receiving, on the loop

    def _ready(self, events: int) -> None:
        if events & OUT:
            with self._lock:
                self._flush()
        if not events & (IN | HANGUP) or self._ended or self._behind:
            return
        if data := self._channel.receive():
            self._receive(data)
        elif data is not None:
            self._end()

    def _receive(self, data: bytes) -> None:
        if (message := self._incoming.take_short(data)) is not None:
            self._deliver(message)
            return
        with self._lock:
            if self._protocol.state is not ConnectionState.CLOSED:
                self._protocol.receive_data(data)
        self._take_events()

    def _take_events(self) -> None:
        """Process the events of wsproto, of which a packet may hold thousands. Bytes that break the
        protocol become a close event with the code for that.
        """
        self._behind = False
        events = self._protocol.events()
        for _ in range(TURN):
            if self._ended:
                return
            with self._lock:
                event = next(events, None)
            if event is None:
                self._incoming.between = whole_frames.is_between_messages(self._protocol)
                return
            self._on_event(event)
        self._behind = True
        self._loop.call_soon(self._take_events)

    def _on_event(self, event: Event) -> None:
        try:
            self._incoming.count()
            if isinstance(event, Message):
                self._deliver(self._incoming.add(event) if self._ending is None else None)
            elif isinstance(event, Ping):
                self._send_control(event.response())
            elif isinstance(event, CloseConnection):
                self._on_close(event)
        except TooMuch as error:
            self.close(error.code, error.reason)

    def _deliver(self, message: str | bytes | None) -> None:
        self._channel.note_data(self._handler.is_activity)
        if message is not None and self._ending is None:
            self._handler.received(self, message)

    def _on_close(self, event: CloseConnection) -> None:
        with self._lock:
            ours = self._ending
            self._ending = ours or (event.code, event.reason or "")
            if ours is None:
                self._channel.output.drop_data()
                self._queue_control(event.response())
            self._room.notify_all()
            flushed = self._channel.output.only_data_waits
        if ours is not None or flushed:  # The closing handshake is complete.
            self._end()
        else:
            self._loop.call_later(CLOSE_WAIT, self._end)

    def _send_control(self, event: Event) -> None:
        with self._lock:
            if self._ending is None:
                self._queue_control(event)

    def _queue_control(self, event: Event) -> None:
        self._channel.output.add_control(self._protocol.send(event))
        self._flush()

    def _tick(self) -> None:
        """Ping, or drop a peer that has neither sent nor taken anything for too long."""
        if self._ended:
            return
        if self._channel.idle_seconds > self._settings.dead_after:
            self._end()
            return
        if not self._channel.output.control_waits:
            self._send_control(Ping())
        self._timer = self._loop.call_later(self._settings.ping_interval, self._tick)

    def _end(self) -> None:
        """Drop the connection and call the handler's ``closed``, once."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            code, reason = self._ending or (ABNORMAL, "")
            self._ending = (code, reason)
            self._channel.close()
            if self._timer is not None:
                self._timer.cancel()
            self._room.notify_all()
        self._channel.shut()
        try:
            self._handler.closed(self, code, reason)
        finally:
            self._on_end(self, code, reason)

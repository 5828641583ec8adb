"""WebSockets (RFC 6455) on sockets handed off by the server, driven by the one I/O loop.

No thread belongs to a socket. What is done with it is its :class:`toolbox.handler.SocketHandler`'s
business.

Rules that clients depend on: pings are answered at once and never queue behind data; at most one
subprotocol is echoed, one that was offered; no compression; a close reason is cut to 123 bytes;
the last data is flushed before the close frame, and the peer gets a moment to answer it.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsproto.connection import Connection
from wsproto.connection import ConnectionState
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage
from wsproto.events import CloseConnection
from wsproto.events import Event
from wsproto.events import Message
from wsproto.events import Ping
from wsproto.events import TextMessage

from toolbox.clock import awake
from toolbox.handler import ABNORMAL
from toolbox.handler import INTERNAL_ERROR
from toolbox.handler import NORMAL
from toolbox.handler import POLICY
from toolbox.handler import TOO_BIG
from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox.loop import HANGUP
from toolbox.loop import IN
from toolbox.loop import OUT
from toolbox.loop import Timer

if TYPE_CHECKING:
    from toolbox.loop import Loop
    from toolbox.settings import WebSocketSettings

CLOSE_WAIT = 2.0
"""Seconds the peer has to answer our close frame."""

RECEIVE = 64 * 1024
MAX_CONTROL = 64
MAX_REASON = 123
TURN = 32
"""Frames of one socket acted on before the others have their turn."""
STRANGER_FRAMES = 64
STRANGER_MESSAGE = 64 * 1024
"""Frames, and bytes of one message, that may come before the handler has admitted the client."""

log = logging.getLogger("toolbox")


class WebSocket:
    """One open WebSocket. All methods may be called from any thread."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        handler: SocketHandler,
        settings: WebSocketSettings,
        on_end: Callable[[WebSocket, int, str], object],
        greeting: bytes,
        early: bytes = b"",
    ) -> None:
        self.received_bytes = 0
        self.sent_bytes = 0
        self.stranger = False
        """Whether the client has shown no token yet."""
        self._allowance = STRANGER_FRAMES
        self._behind = False
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = loop
        self._handler = handler
        self._settings = settings
        self._on_end = on_end
        self._protocol = Connection(ConnectionType.SERVER, trailing_data=early)
        self._message: list[str | bytes | bytearray] = []
        self._message_size = 0
        # Everything below is guarded by the lock: any thread may send.
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._control: deque[bytes] = deque()
        self._frames: deque[bytes] = deque()
        self._head = memoryview(greeting)  # What the kernel is being given.
        self._pending = len(greeting)
        self._writable = True
        self._ending: tuple[int, str] | None = None
        self._ended = False
        self._events = 0
        self._paused = False
        self._alive_at = awake()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Send the greeting, in one packet with what the handler says at once, and hand the socket
        to the loop.
        """
        self._sock.setblocking(False)
        self._cork(True)
        with self._lock:
            self._flush()
        try:
            self._handler.opened(self)
        except Exception:
            log.exception("a WebSocket handler failed")
            self.close(INTERNAL_ERROR, "internal error")
        self._cork(False)
        self._loop.call_soon(self._register)

    def _cork(self, on: bool) -> None:
        """Gather small packets for a moment, 200 ms at most (tcp(7))."""
        with contextlib.suppress(OSError):  # It may have ended, or be no TCP socket.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)

    def _register(self) -> None:
        with self._lock:
            if self._ended:
                return
            self._events = self._wanted()
            self._loop.add(self._fd, self._events, self._ready)
        self._timer = self._loop.call_later(self._settings.ping_interval, self._tick)
        self._take_events()

    def admit(self) -> None:
        """The client has shown the token to the handler."""
        self.stranger = False

    # Sending

    @property
    def writable(self) -> bool:
        """Whether the client keeps up: less than ``send_buffer`` bytes wait for it."""
        return self._writable

    @property
    def closing(self) -> bool:
        """Whether no more can be sent."""
        return self._ending is not None

    def send(self, message: str | bytes) -> None:
        """Queue one message: ``str`` as text, ``bytes`` as binary.

        Off the loop this waits while the client doesn't keep up. On the loop it never waits: look
        at :attr:`writable` and go on in ``drained``; a handler that doesn't is cut off (1008) when
        four times ``send_buffer`` wait. Raises SocketClosed.
        """
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(bytes(message))
        waits = not self._loop.here
        with self._lock:
            while waits and not self._writable and self._ending is None:
                self._room.wait()
            if self._ending is not None:
                raise SocketClosed
            frame = self._protocol.send(event)
            self._frames.append(frame)
            self._pending += len(frame)
            flooded = self._pending > 4 * self._settings.send_buffer + len(frame)
            self._flush()
            if self._pending > self._settings.send_buffer:
                self._writable = False
        if flooded:
            self.close(POLICY, "slow consumer")

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send what is queued, then the close frame; idempotent."""
        cut = reason.encode()[:MAX_REASON].decode("utf-8", "ignore")
        with self._lock:
            if self._ending is not None:
                return
            self._ending = (code, cut)
            frame = self._protocol.send(CloseConnection(code, cut or None))
            self._frames.append(frame)
            self._pending += len(frame)
            self._flush()
            self._room.notify_all()
        self._loop.call_later(CLOSE_WAIT, self._end)

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        self._loop.call_soon(self._end)

    def pause(self) -> None:
        """Stop reading: what the client sends waits in its own buffers."""
        self._set_paused(True)

    def resume(self) -> None:
        """Read again."""
        self._set_paused(False)

    def _set_paused(self, paused: bool) -> None:
        with self._lock:
            self._paused = paused
            self._watch()

    def _flush(self) -> None:
        """Send as much as the kernel takes: the frame begun, then control frames, then data."""
        while not self._ended:
            if not self._head:
                queue = self._control or self._frames
                if not queue:
                    break
                self._head = memoryview(queue.popleft())
            try:
                count = self._sock.send(self._head)
            except BlockingIOError:
                break
            except OSError:
                self._loop.call_soon(self._end)
                break
            self._alive_at = awake()
            self.sent_bytes += count
            self._pending -= count
            self._head = self._head[count:]
        if not self._writable and self._pending <= self._settings.send_buffer // 2:
            # Whoever flushed, a pong's thread too, may have been the one that made room.
            self._writable = True
            self._room.notify_all()
            self._loop.call_soon(self._tell_drained)
        self._watch()

    def _tell_drained(self) -> None:
        if self._ending is None:
            self._handler.drained(self)

    def _wanted(self) -> int:
        events = select.EPOLLRDHUP if self._paused else IN
        return events | OUT if self._head or self._frames or self._control else events

    def _watch(self) -> None:
        """Tell epoll what is waited for now, if that has changed."""
        wanted = self._wanted()
        if self._events and not self._ended and wanted != self._events:
            self._events = wanted
            self._loop.modify(self._fd, wanted)

    # Receiving, on the loop

    def _ready(self, events: int) -> None:
        if events & OUT:
            with self._lock:
                self._flush()
        if events & (IN | HANGUP) and not self._ended and not self._behind:
            self._on_readable()

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self._alive_at = awake()
        self.received_bytes += len(data)
        with self._lock:
            if self._protocol.state is not ConnectionState.CLOSED:
                self._protocol.receive_data(data)
        self._take_events()

    def _take_events(self) -> None:
        """Act on what wsproto has understood. Bytes that break the protocol come out of it as a
        close with the code that says so.

        A packet may hold thousands of frames: after some of them it is the others' turn.
        """
        self._behind = False
        events = self._protocol.events()
        for _ in range(TURN):
            if self._ended:
                return
            with self._lock:
                event = next(events, None)
            if event is None:
                return
            self._on_event(event)
        self._behind = True
        self._loop.call_soon(self._take_events)

    def _on_event(self, event: Event) -> None:
        if self.stranger:
            self._allowance -= 1
            if self._allowance < 0:
                self.close(POLICY, "too much has come before the token")
                return
        if isinstance(event, Message):
            self._on_message(event)
        elif isinstance(event, Ping):
            self._send_control(event.response())
        elif isinstance(event, CloseConnection):
            self._on_close(event)

    def _on_message(self, event: Message) -> None:  # type: ignore[type-arg]
        if self._ending is not None:
            return
        if event.data:  # Fragments without any could be gathered for ever.
            self._message.append(event.data)
        self._message_size += len(event.data)
        limit = self._settings.max_message
        if self.stranger:
            limit = min(limit, STRANGER_MESSAGE)
        if self._message_size > limit:
            self._message.clear()
            self.close(TOO_BIG, f"the limit of a message is {limit} bytes")
        elif event.message_finished:
            parts, self._message, self._message_size = self._message, [], 0
            empty: str | bytes = "" if isinstance(event, TextMessage) else b""
            self._handler.received(self, empty.join(parts))  # type: ignore[arg-type]

    def _on_close(self, event: CloseConnection) -> None:
        with self._lock:
            ours = self._ending
            self._ending = ours or (event.code, event.reason or "")
            if ours is None:
                self._frames.clear()
                self._queue_control(event.response())
            self._room.notify_all()
            flushed = not self._head and not self._control
        if ours is not None or flushed:
            self._end()
        else:
            self._loop.call_later(CLOSE_WAIT, self._end)

    def _send_control(self, event: Event) -> None:
        with self._lock:
            if self._ending is None:
                self._queue_control(event)

    def _queue_control(self, event: Event) -> None:
        if len(self._control) >= MAX_CONTROL:
            # RFC 6455, 5.5.3: of several pings only the last must be answered.
            self._pending -= len(self._control.popleft())
        frame = self._protocol.send(event)
        self._control.append(frame)
        self._pending += len(frame)
        self._flush()

    def _tick(self) -> None:
        """Ping, or give up a peer from which nothing has come and which takes nothing."""
        if self._ended:
            return
        if awake() - self._alive_at > self._settings.dead_after:
            self._end()
            return
        if not self._control:
            self._send_control(Ping())
        self._timer = self._loop.call_later(self._settings.ping_interval, self._tick)

    def _end(self) -> None:
        """Drop the connection and tell the handler, once."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            code, reason = self._ending or (ABNORMAL, "")
            self._ending = (code, reason)
            if self._events:
                self._loop.remove(self._fd)
            if self._timer is not None:
                self._timer.cancel()
            self._frames.clear()
            self._control.clear()
            self._room.notify_all()
        _shut(self._sock)
        try:
            self._handler.closed(self, code, reason)
        finally:
            self._on_end(self, code, reason)


def _shut(sock: socket.socket) -> None:
    """Close after what was sent has been taken: unread input would turn the close into a reset."""
    try:
        sock.shutdown(socket.SHUT_WR)
        for _ in range(16):
            if not sock.recv(RECEIVE):
                break
    except OSError:
        pass
    sock.close()

"""Frames of a WebSocket on their way out, and messages put together from those that came in."""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice

from wsproto.events import Message
from wsproto.events import TextMessage

from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import TOO_BIG
from toolbox.sockets.whole_frames import short_message

TOGETHER = 64
"""Data frames that are sent by one call; the kernel takes 1024 buffers (IOV_MAX)."""

MAX_CONTROL = 64
"""Control frames that wait for a client; for one more, the oldest is dropped."""


STRANGER_FRAMES = 64
STRANGER_MESSAGE = 64 * 1024
"""Frames, and bytes of one message, that may come before the handler has admitted the client."""

MAX_REASON = 123
"""Bytes of a close reason: a control frame has 125, two of them for the code (RFC 6455, 5.5)."""


def cut_reason(reason: str) -> str:
    """Return a close reason that fits, cut between characters."""
    return reason.encode()[:MAX_REASON].decode("utf-8", "ignore")


class OutputQueue:
    """Frames for the kernel, in the order it gets them: the one begun, then control frames, then
    data, so that a pong never waits for data. Not thread-safe: the owner holds its lock.
    """

    def __init__(self, greeting: bytes) -> None:
        self._begun = memoryview(greeting)
        self._control: deque[bytes] = deque()
        self._data: deque[bytes] = deque()
        self.pending = len(greeting)
        """Bytes that wait."""

    @property
    def control_waits(self) -> bool:
        """True if a control frame waits that the kernel has not begun to take."""
        return bool(self._control)

    @property
    def only_data_waits(self) -> bool:
        """True if no control frame waits, nor the rest of any frame."""
        return not self._begun and not self._control

    def add(self, frame: bytes) -> None:
        """Append a data frame, or the close frame, which comes after all data."""
        self._data.append(frame)
        self.pending += len(frame)

    def add_control(self, frame: bytes) -> None:
        """Append a control frame."""
        if len(self._control) >= MAX_CONTROL:
            # RFC 6455, 5.5.3: of several pings only the last needs a pong.
            self.pending -= len(self._control.popleft())
        self._control.append(frame)
        self.pending += len(frame)

    def send_to(self, sock: socket.socket) -> int:
        """Send from the next frames, without waiting; return the count of bytes. To be called only
        if something waits. Raises OSError, BlockingIOError if the kernel takes nothing.
        """
        if len(self._data) == 1 and not self._begun and not self._control:
            return self._send_only(sock)
        if not self._begun:
            self._begun = memoryview((self._control or self._data).popleft())
        data = islice(self._data, TOGETHER)
        frames: list[memoryview | bytes] = [self._begun, *self._control, *data]
        count = sock.sendmsg(frames) if len(frames) > 1 else sock.send(self._begun)
        self.pending -= count
        left = count
        while left > len(self._begun):
            left -= len(self._begun)
            self._begun = memoryview((self._control or self._data).popleft())
        self._begun = self._begun[left:]
        return count

    def _send_only(self, sock: socket.socket) -> int:
        """Send the only frame, as a key's echo is: 1 us instead of 3."""
        count = sock.send(self._data[0])
        frame = self._data.popleft()
        self.pending -= count
        if count < len(frame):
            self._begun = memoryview(frame)[count:]
        return count

    def drop_data(self) -> None:
        """Drop the data frames that are not begun."""
        self.pending -= sum(map(len, self._data))
        self._data.clear()

    def clear(self) -> None:
        """Drop everything."""
        self._begun = memoryview(b"")
        self._data.clear()
        self._control.clear()
        self.pending = 0


class TooMuch(Exception):
    """The client has sent more than it may; the socket is to be closed with ``code``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Incoming:
    """Puts messages together from their fragments (RFC 6455, 5.4), and limits what comes.

    A ``stranger`` is a client that has not shown its token yet.
    """

    def __init__(self, max_message: int, stranger: bool) -> None:
        self.stranger = stranger
        self.between = False
        """True while the protocol waits for the first byte of a message."""
        self._max_message = max_message
        self._frames_left = STRANGER_FRAMES
        self._fragments: list[str | bytes | bytearray] = []
        self._size = 0

    def take_short(self, data: bytes) -> str | bytes | None:
        """Return the message that came in ``data``, or None if the protocol must read that: what is
        typed comes whole, and alone.
        """
        if self.between and not self.stranger and len(data) <= self._max_message:
            message = short_message(data)
            self.between = message is not None
            return message
        self.between = False
        return None

    def count(self) -> None:
        """Count a frame. Raises TooMuch if a stranger has sent too many."""
        if self.stranger:
            self._frames_left -= 1
            if self._frames_left < 0:
                raise TooMuch(POLICY, "too much has come before the token")

    def add(self, event: Message) -> str | bytes | None:  # type: ignore[type-arg]
        """Add a fragment; return the message if it is the last one. Raises TooMuch if the message
        is over its limit, in bytes or, for a text, characters.
        """
        if event.data:  # Empty fragments could be gathered without end.
            self._fragments.append(event.data)
        self._size += len(event.data)
        limit = self._max_message
        if self.stranger:
            limit = min(limit, STRANGER_MESSAGE)
        if self._size > limit:
            self._fragments.clear()
            raise TooMuch(TOO_BIG, f"the limit of a message is {limit} bytes")
        if not event.message_finished:
            return None
        fragments, self._fragments, self._size = self._fragments, [], 0
        empty: str | bytes = "" if isinstance(event, TextMessage) else b""
        return empty.join(fragments)  # type: ignore[arg-type]

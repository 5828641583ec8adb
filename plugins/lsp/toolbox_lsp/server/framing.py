"""The two pipes of a language server, as files for the streams of python-lsp-jsonrpc.

That library's reader trusts its input: a line that isn't a header makes it read to the end of the
stream, and a large length makes it read that much. Its writer blocks in ``write`` while the server
doesn't read. The files here pass only well-formed messages of bounded size to the reader, and
accept writes without ever blocking.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

from toolbox.sockets.loop import OUT
from toolbox.sockets.loop import Loop

MAX_MESSAGE = 64 * 1024 * 1024
"""Maximum bytes of a message, and of messages queued for a server that doesn't read."""
MAX_LINE = 8 * 1024
"""Maximum bytes of a header line."""
MAX_NOISE = 64 * 1024
"""Maximum bytes between two messages: some servers print a greeting."""

_LENGTH = re.compile(rb"content-length:\s*(\d{1,18})\s*\Z", re.IGNORECASE)


class BrokenStream(Exception):
    """The server's output violates the protocol; the message says how."""


class MessageSource:
    """The output of a server, for ``JsonRpcStreamReader``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._in_headers = False

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        self._file.close()

    def readline(self) -> bytes:
        """Return the next header line; the first of a message is its length. Empty at the end.

        Raises BrokenStream after :data:`MAX_NOISE` bytes without a message.
        """
        if not self._in_headers:
            return self._find_message()
        line = self._file.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            raise BrokenStream(f"it sent a header of over {MAX_LINE} bytes")
        # An empty line ends the headers.
        self._in_headers = bool(line.strip())
        return line

    def _find_message(self) -> bytes:
        noise = 0
        first = b""
        while line := self._file.readline(MAX_LINE):
            # Not only at the start of a line: a greeting may lack its newline.
            if match := _LENGTH.search(line):
                self._in_headers = True
                return b"Content-Length: %d\r\n" % int(match[1])
            first = first or line.strip()
            noise += len(line)
            if noise > MAX_NOISE:
                raise BrokenStream(
                    f"its output is not LSP: {first[:60].decode('utf-8', 'replace')!r}"
                )
        return b""

    def read(self, size: int) -> bytes:
        """Return the whole body of a message. Raises BrokenStream if it is too large or cut off."""
        # Before memory is allocated for it.
        if size > MAX_MESSAGE:
            raise BrokenStream(f"it sent a message of {size} bytes")
        data = self._file.read(size)
        if len(data) < size:
            raise BrokenStream("its output ended within a message")
        return data


class MessageSink:
    """The input of a server, for ``JsonRpcStreamWriter``.

    Writes to the descriptor of ``file``, and closes it. ``failed`` is called with a reason if the
    server stops reading. *Any thread.*
    """

    def __init__(self, file: BinaryIO, loop: Loop, failed: Callable[[str], object]) -> None:
        self._file = file
        self._fd = file.fileno()
        os.set_blocking(self._fd, False)
        self._loop = loop
        self._failed = failed
        self._lock = threading.Lock()
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._registered = False
        self.closed = False

    def write(self, data: bytes) -> None:
        """Send ``data`` now or once the server reads. Never blocks, never raises."""
        reason = ""
        with self._lock:
            if self.closed:
                return
            self._queue.append(memoryview(data))
            self._queued += len(data)
            # Otherwise older messages are waiting, and the order must be kept.
            if len(self._queue) == 1:
                reason = self._send()
            if self._queued > MAX_MESSAGE:
                reason = f"it left {self._queued} bytes unread"
            # Only the loop's thread may register descriptors.
            elif self._queue and not reason:
                self._loop.call_soon(self._register)
        if reason:
            self._failed(reason)

    def flush(self) -> None:
        """Do nothing: :meth:`write` sends what the pipe accepts."""

    def close(self) -> None:
        """Close the pipe; unsent data is dropped."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._queue.clear()
                # On the loop, which may be using the descriptor.
                self._loop.call_soon(self._release)

    def _send(self) -> str:
        """Send as much as the pipe accepts; return the reason for a failure, else ``""``."""
        while self._queue:
            try:
                count = os.write(self._fd, self._queue[0])
            except BlockingIOError:
                return ""
            except OSError as error:
                return f"its input can't be written: {os.strerror(error.errno or 0)}"
            self._queued -= count
            rest = self._queue.popleft()[count:]
            if rest:
                # A pipe accepts a part of a large write (pipe(7)).
                self._queue.appendleft(rest)
        return ""

    def _register(self) -> None:
        with self._lock:
            if self._queue and not self._registered:
                self._registered = True
                self._loop.add(self._fd, OUT, self._on_writable)

    def _on_writable(self, events: int) -> None:
        with self._lock:
            reason = self._send()
            if reason or not self._queue:
                self._registered = False
                self._loop.remove(self._fd)
        if reason:
            self._failed(reason)

    def _release(self) -> None:
        if self._registered:
            self._loop.remove(self._fd)
        self._file.close()

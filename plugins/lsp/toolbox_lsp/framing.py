"""The two pipes of a language server, as files for the streams of python-lsp-jsonrpc.

That library's reader trusts what it reads: a line that is no header makes it read to the end of
the stream, a large length makes it read as much. Its writer blocks in ``write`` for as long as
the server doesn't read. The files here give the reader nothing but well-formed messages of
bounded size, and take what the writer writes without ever blocking.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

from toolbox.loop import OUT
from toolbox.loop import Loop

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes of one message, and of those waiting for a server that doesn't read."""
MAX_LINE = 8 * 1024
MAX_NOISE = 64 * 1024
"""Bytes between two messages that are no message: some servers greet on standard output."""

_LENGTH = re.compile(rb"content-length:\s*(\d{1,18})\s*\Z", re.IGNORECASE)


class BrokenStream(Exception):
    """What the server writes is not the protocol; the message says what it was."""


class MessageSource:
    """What a server writes, for ``JsonRpcStreamReader``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._in_headers = False

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        self._file.close()

    def readline(self) -> bytes:
        """The next line of the headers, the first of which always is the length; empty at the end.

        Raises BrokenStream if too much comes that is no message.
        """
        if not self._in_headers:
            return self._find_message()
        line = self._file.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            raise BrokenStream(f"a header of over {MAX_LINE} bytes")
        self._in_headers = bool(line.strip())
        return line

    def _find_message(self) -> bytes:
        noise = 0
        first = b""
        while line := self._file.readline(MAX_LINE):
            if match := _LENGTH.search(line):
                self._in_headers = True
                return b"Content-Length: %d\r\n" % int(match[1])
            first = first or line.strip()
            noise += len(line)
            if noise > MAX_NOISE:
                raise BrokenStream(
                    f"no message is what it writes: {first[:60].decode('utf-8', 'replace')!r}"
                )
        return b""

    def read(self, size: int) -> bytes:
        """The body of a message, all of it. Raises BrokenStream, also if the stream ends early."""
        if size > MAX_MESSAGE:
            raise BrokenStream(f"a message of {size} bytes")
        data = self._file.read(size)
        if len(data) < size:
            raise BrokenStream("it ended within a message")
        return data


class MessageSink:
    """What is written to a server, for ``JsonRpcStreamWriter``.

    Writes to the descriptor of ``file``, and closes it. ``failed`` is called with a reason if the
    server doesn't take what it is sent. *Any thread.*
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
        """Send ``data`` now or as soon as the server reads; never blocks, never raises."""
        reason = ""
        with self._lock:
            if self.closed:
                return
            self._queue.append(memoryview(data))
            self._queued += len(data)
            if len(self._queue) == 1:
                reason = self._send()
            if self._queued > MAX_MESSAGE:
                reason = f"it left {self._queued} bytes unread"
            elif self._queue and not reason:
                self._loop.call_soon(self._register)
        if reason:
            self._failed(reason)

    def flush(self) -> None:
        """Nothing to do: what can be sent has been sent."""

    def close(self) -> None:
        """Close the pipe; what was not sent is dropped."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._queue.clear()
                self._loop.call_soon(self._release)

    def _send(self) -> str:
        """Send what the pipe takes; why it can't be sent, or nothing."""
        while self._queue:
            try:
                count = os.write(self._fd, self._queue[0])
            except BlockingIOError:
                return ""
            except OSError as error:
                return f"it can't be written to: {os.strerror(error.errno or 0)}"
            self._queued -= count
            rest = self._queue.popleft()[count:]
            if rest:
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

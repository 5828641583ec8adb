"""A client's connection, as the server's threads use it.

It never blocks in the kernel: what can't go on at once waits here, where it is known for whom, and
bounded (:mod:`toolbox.lanes`). Timeouts are without a byte moved, and not while the service itself
was stopped (:mod:`toolbox.clock`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar

from gunicorn.http.body import ChunkedReader
from gunicorn.http.body import EOFReader
from gunicorn.http.parser import _DRAIN_MAX_BYTES as DROPPED

from toolbox.clock import awake

if TYPE_CHECKING:
    from toolbox.lanes import Lanes

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
R = TypeVar("R")

FILE_BLOCK = 1 << 30
"""Bytes of a file sent by one call, which ends when the kernel's buffer is full anyway."""


class ClientSocket(socket.socket):
    """One connection. ``sock`` is taken over."""

    on_pass: Callable[[], object] | None = None
    """To be called once the stranger's request no longer needs a place inside the gate."""

    def __init__(self, sock: socket.socket, lanes: Lanes) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        super().setblocking(False)
        self.known = False
        """Whether the request that is being served has shown what it may be served by."""
        self.was_known = False
        """Whether any request has."""
        self.began = 0.0
        self.moved = 0
        """Bytes since ``began``, both ways."""
        self._lanes = lanes
        self._request: Any = None
        self._expects = False
        self._closes = False
        self._was_cut = False
        self._awaited = 0
        self._limit: float | None = None

    # What a request goes through

    def begin(self, request: Any) -> None:
        """``request``, gunicorn's, is about to be served.

        Unless it is admitted its body isn't read, so the connection can't be used again.
        """
        self.known = False
        self.began = awake()
        self.moved = 0
        self._request = request
        self._closes = request.must_close or _says_close(request.headers)
        self._expects = request._expected_100_continue
        request._expected_100_continue = False  # gunicorn would answer it before the token.
        request.must_close = self._closes or _has_body(request)

    def admit(self) -> None:
        """The request may be served: its client is one of the callers now."""
        self.known = self.was_known = True
        self.pass_gate()
        if not self._expects:
            self._request.must_close = self._closes

    def refuse(self) -> None:
        """The request is answered with an error: say that the connection ends, if it will."""
        if self._request is not None and (self._was_cut or _leaves_body(self._request)):
            self._request.must_close = True

    def pass_gate(self) -> None:
        """Let another stranger in, if this one had come through the gate."""
        if (on_pass := self.on_pass) is not None:
            self.on_pass = None
            on_pass()

    def invite(self) -> None:
        """Tell the client to send the body, if it waits for that (RFC 9110, 10.1.1)."""
        if self._expects:
            self._expects = False
            self._request.must_close = self._closes or not self.known
            self.sendall(CONTINUE)

    @property
    def uninvited(self) -> bool:
        """Whether the client waits to be told to send the body."""
        return self._expects

    def cut(self) -> None:
        """Let whoever waits for this client give up. From any thread."""
        self._was_cut = True
        # One that sends too slowly can still be told.
        how = socket.SHUT_RD if self._awaited == select.POLLIN else socket.SHUT_RDWR
        with contextlib.suppress(OSError):
            self.shutdown(how)

    # As the server calls it

    def setblocking(self, flag: bool) -> None:
        """Nothing: it waits by itself."""

    def settimeout(self, value: float | None) -> None:
        """Wait for ``value`` seconds at most, where that is less than it would anyway."""
        self._limit = value or None

    def take(self, size: int) -> bytes | None:
        """What has come, up to ``size`` bytes; None if nothing has."""
        return _try(super().recv, size)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        while (data := _try(super().recv, bufsize, flags)) is None:
            self._wait(select.POLLIN)
        self.moved += len(data)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        while (count := _try(super().recv_into, buffer, nbytes, flags)) is None:
            self._wait(select.POLLIN)
        self.moved += count
        return count

    def wait_readable(self) -> None:
        """Wait for bytes, or for the end of them. Raises TimeoutError."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        if not poll.poll(0):
            self._wait(select.POLLIN)

    def sendall(self, data: Any, flags: int = 0) -> None:
        sent = self._send(data, flags)
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            self._wait(select.POLLOUT)
            rest = rest[self._send(rest, flags) :]

    def _send(self, data: Any, flags: int) -> int:
        sent = _try(super().send, data, flags) or 0
        self.moved += sent
        return sent

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """As socket.sendfile, for a file of the disk and a ``count``. Raises BrokenPipeError if the
        file ends before that: no other end can be told to a client that was promised more.
        """
        source, total = file.fileno(), 0
        while count is None or total < count:
            block = FILE_BLOCK if count is None else min(FILE_BLOCK, count - total)
            sent = _try(os.sendfile, self.fileno(), source, offset + total, block)
            if sent is None:
                self._wait(select.POLLOUT)
            elif not sent and count is not None:
                raise BrokenPipeError(errno.EPIPE, "the file became shorter while it was sent")
            elif not sent:
                break
            else:
                total += sent
                self.moved += sent
        return total

    def _wait(self, event: int) -> None:
        """Wait until it is ready for ``event``. Raises TimeoutError."""
        self.pass_gate()  # Those who are waited for have a bound of their own.
        lane = self._lanes.callers if self.known else self._lanes.strangers
        self._awaited = event
        poll = select.poll()
        poll.register(self, event)
        with lane.wait(self):
            until = awake() + min(lane.patience, self._limit or lane.patience)
            while not self._was_cut and (left := until - awake()) > 0:
                if poll.poll(left * 1000) and not self._was_cut:
                    return
        self._was_cut = True  # Where the next request begins is unknown.
        raise TimeoutError("the client is too slow")


def _try(operation: Callable[..., R], *arguments: Any) -> R | None:
    """What ``operation`` returns, or None if it would block."""
    try:
        return operation(*arguments)
    except BlockingIOError:
        return None


def _says_close(headers: list[tuple[str, str]]) -> bool:
    """Whether ``close`` is one of the connection's options: gunicorn knows it only alone, and in
    the first of several lines (RFC 9112, 9.3).
    """
    return any(
        name == "CONNECTION" and "close" in map(str.strip, value.lower().split(","))
        for name, value in headers
    )


def _has_body(request: Any) -> bool:
    """Whether gunicorn's ``request`` announces one."""
    reader = request.body.reader
    if isinstance(reader, EOFReader):
        return False  # Neither a length nor chunks.
    return bool(getattr(reader, "length", True))


def _leaves_body(request: Any) -> bool:
    """Whether more of the body of gunicorn's ``request`` is left than it drops before the next, or
    it can't tell where it ends.
    """
    body = request.body
    if isinstance(body.reader, ChunkedReader):
        return body.failed or body.reader.parser is not None
    return bool(getattr(body.reader, "length", 0) > DROPPED)


def client_of(environ: dict[str, Any]) -> ClientSocket | None:
    """The connection of a request, where the server is ours and nothing lies over it."""
    sock = environ.get("gunicorn.socket")
    return sock if isinstance(sock, ClientSocket) else None

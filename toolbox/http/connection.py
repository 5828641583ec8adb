"""A client's connection, as the server's threads use it.

It never blocks in the kernel: what can't go on at once waits here, where it is known for whom, and
bounded (:mod:`toolbox.serving.lanes`). Timeouts are without a byte moved, and not while the service
itself was stopped (:mod:`toolbox.linux.clock`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Any
from typing import Protocol
from typing import TypeVar

from toolbox.http.gunicorn_ import announces_body
from toolbox.http.gunicorn_ import leaves_body
from toolbox.http.gunicorn_ import take_expectation
from toolbox.linux.clock import awake

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
R = TypeVar("R")

CHUNK = 1024 * 1024
"""Bytes of a body read or sent at once."""

FILE_BLOCK = 1 << 30
"""Bytes of a file sent by one call, which ends when the kernel's buffer is full anyway."""


class Interrupted(TimeoutError):
    """The service itself doesn't wait any longer: it is being upgraded."""


class Lane(Protocol):
    """The bound on clients that threads wait for: :class:`toolbox.serving.lanes.Lane`."""

    @property
    def patience(self) -> float:
        """Seconds without a byte moved before a client is cut off."""

    def wait(self, client: ClientSocket) -> AbstractContextManager[None]:
        """Wait for ``client`` within the block; it may be cut off there."""


class Lanes(Protocol):
    """The lanes of clients with and without a token."""

    @property
    def callers(self) -> Lane: ...

    @property
    def strangers(self) -> Lane: ...

    def elsewhere(self) -> AbstractContextManager[None]:
        """Don't count the calling thread within the block: it waits for another server."""


class ClientSocket(socket.socket):
    """One connection. ``sock`` is taken over."""

    on_release: Callable[[], object] | None = None
    """To be called once the stranger's request no longer needs its place in the queue."""

    def __init__(self, sock: socket.socket, lanes: Lanes) -> None:
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        super().setblocking(False)
        self.known = False
        """True once the current request has shown a credential, or needs none."""
        self.was_known = False
        """True once any request of the connection has."""
        self.began = 0.0
        self._received = 0
        self._sent = 0
        self._moved_before = 0
        self._lanes = lanes
        self._request: Any = None
        self._expects = False
        self._closes = False
        self._was_cut = False
        self._interrupted = False
        self._awaited = 0
        self._limit: float | None = None

    @property
    def moved(self) -> int:
        """Bytes since ``began``, both ways."""
        return self._received + self._sent - self._moved_before

    def take_counts(self) -> tuple[int, int]:
        """Return the bytes received and sent since the last call. At the end of a request."""
        counts = self._received, self._sent
        self._received = self._sent = self._moved_before = 0
        return counts

    # What a request goes through

    def begin(self, request: Any) -> None:
        """Prepare to serve ``request``, gunicorn's.

        Unless it is admitted its body isn't read, so the connection can't be used again.
        """
        self.known = False
        self.began = awake()
        self._moved_before = self._received + self._sent
        self._request = request
        self._closes = request.must_close or _says_close(request.headers)
        self._expects = take_expectation(request)
        request.must_close = self._closes or announces_body(request)

    def admit(self) -> None:
        """Admit the request: its client counts as a caller from now on."""
        self.known = self.was_known = True
        self.release_place()
        if not self._expects:
            self._request.must_close = self._closes

    def refuse(self) -> None:
        """Announce the end of the connection in an error response, if it will end."""
        if self._request is not None and (self._was_cut or leaves_body(self._request)):
            self._request.must_close = True

    def release_place(self) -> None:
        """Give up the place of a stranger's request, once."""
        if (on_release := self.on_release) is not None:
            self.on_release = None
            on_release()

    def elsewhere(self) -> AbstractContextManager[None]:
        """Wait for another server within the block, not for this client."""
        self.release_place()
        return self._lanes.elsewhere()

    def invite(self) -> None:
        """Respond 100 Continue if the client waits for it (RFC 9110, 10.1.1)."""
        if self._expects:
            self._expects = False
            self._request.must_close = self._closes or not self.known
            self.sendall(CONTINUE)

    @property
    def uninvited(self) -> bool:
        """True while the client waits for 100 Continue."""
        return self._expects

    def cut(self, interrupted: bool = False) -> None:
        """Make the thread that waits for this client give up. *Any thread.*"""
        self._was_cut = True
        self._interrupted = interrupted
        # A client that sends too slowly can still receive the error.
        how = socket.SHUT_RD if self._awaited == select.POLLIN else socket.SHUT_RDWR
        with contextlib.suppress(OSError):
            self.shutdown(how)

    # As the server calls it

    def setblocking(self, flag: bool) -> None:
        """Do nothing: the socket never blocks in the kernel, and waits here instead."""

    def settimeout(self, value: float | None) -> None:
        """Wait for ``value`` seconds at most, where that is less than it would anyway."""
        self._limit = value or None

    def take(self, size: int) -> bytes | None:
        """Return up to ``size`` bytes that have arrived, or None if there are none."""
        data = _try(super().recv, size)
        self._received += len(data or b"")
        return data

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        while (data := _try(super().recv, bufsize, flags)) is None:
            self._wait(select.POLLIN)
        self._received += len(data)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        while (count := _try(super().recv_into, buffer, nbytes, flags)) is None:
            self._wait(select.POLLIN)
        self._received += count
        return count

    def splice(self, pipe: int, size: int) -> int:
        """Move up to ``size`` bytes into a pipe that is empty; return their count, 0 at the end."""
        while (count := _try(os.splice, self.fileno(), pipe, size)) is None:
            self._wait(select.POLLIN)
        self._received += count
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
        self._sent += sent
        return sent

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """As socket.sendfile, for a file of the disk and a ``count``. Raises BrokenPipeError if the
        file ends before that: a client that was promised more can only be disconnected.
        """
        source, total = file.fileno(), 0
        while count is None or total < count:
            block = FILE_BLOCK if count is None else min(FILE_BLOCK, count - total)
            sent = _try(os.sendfile, self.fileno(), source, offset + total, block)
            if sent is None:
                self._wait(select.POLLOUT)
            elif not sent and count is not None:
                raise BrokenPipeError(errno.EPIPE, "the file was truncated while it was sent")
            elif not sent:
                break
            else:
                total += sent
                self._sent += sent
        return total

    def _wait(self, event: int) -> None:
        """Wait until it is ready for ``event``. Raises TimeoutError."""
        self.release_place()  # Those who are waited for have a bound of their own.
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
        if self._interrupted:
            raise Interrupted("the service is being upgraded")
        raise TimeoutError("the client is too slow")


def _try(operation: Callable[..., R], *arguments: Any) -> R | None:
    """Call ``operation``; return its result, or None if it would block."""
    try:
        return operation(*arguments)
    except BlockingIOError:
        return None


def _says_close(headers: list[tuple[str, str]]) -> bool:
    """Report whether ``close`` is one of the connection's options (RFC 9112, 9.3).

    gunicorn recognizes it only alone, and in the first of several lines.
    """
    return any(
        name == "CONNECTION" and "close" in map(str.strip, value.lower().split(","))
        for name, value in headers
    )


def client_of(environ: dict[str, Any]) -> ClientSocket | None:
    """Return the connection of a request, or None under another server."""
    sock = environ.get("gunicorn.socket")
    return sock if isinstance(sock, ClientSocket) else None


def elsewhere(environ: dict[str, Any]) -> AbstractContextManager[None]:
    """Don't count the thread of a request within the block, in which it waits for another server:
    one that never responds must not take the threads of all others.
    """
    client = client_of(environ)
    return nullcontext() if client is None else client.elsewhere()

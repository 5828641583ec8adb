"""One HTTP exchange with a port of this machine.

The protocol is h11's, which takes what clients of a whole library don't: answers that come before
the request is complete, ``103 Early Hints`` and the bytes that follow a ``101``. A connection
serves one request: a development server with one thread must not be held by idle ones.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator

import h11

from toolbox.errors import ToolboxError
from toolbox.request import Body
from toolbox_port.caller import Caller
from toolbox_port.errors import BadUpstream
from toolbox_port.errors import CallerGone
from toolbox_port.errors import NothingListens
from toolbox_port.headers import Pairs
from toolbox_port.headers import answer_headers

CONNECT_TIMEOUT = 30.0
"""Seconds for a connection on loopback: longer only if the application accepts none."""

MAX_HEAD = 256 * 1024
"""Bytes of the head of an answer."""

RECEIVE = 512 * 1024
SMALL_BODY = 64 * 1024
"""Bytes of a request body that are sent before the answer is looked at."""

DRAIN = 2.0
"""Seconds for what is left of a request body that nobody wants any more."""

Head = h11.Response | h11.InformationalResponse

log = logging.getLogger("toolbox")


def connect(port: int) -> socket.socket:
    """A connection to ``port`` of this machine, by IPv4 or else IPv6. Raises NothingListens."""
    reasons = []
    for host in ("127.0.0.1", "::1"):
        try:
            sock = socket.create_connection((host, port), CONNECT_TIMEOUT)
        except OSError as error:
            reasons.append(error.strerror or "timed out")
            continue
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise NothingListens(f"nothing accepts connections on port {port}: {reasons[0]}")


class Exchange:
    """A request on its way to ``sock``, and the answer: iterating yields the answer's body.

    :meth:`close` must be called in any case; :meth:`abort` may be, from any thread.
    """

    def __init__(
        self, sock: socket.socket, caller: Caller, on_close: Callable[[Exchange], object]
    ) -> None:
        self._sock = sock
        self._caller = caller
        self._on_close = on_close
        self._protocol = h11.Connection(h11.CLIENT, MAX_HEAD)
        self._upload: Upload | None = None
        self._left: int | None = None
        self._closed = False
        self._aborted = False
        caller.also(sock)

    def send(self, request: h11.Request, body: Body | None) -> None:
        """Send the request; a large body from now on, by a thread of its own.

        Raises BadRequest if the client breaks off a small body.
        """
        small = body is not None and body.length is not None and body.length <= SMALL_BODY
        data = body.read_all(SMALL_BODY) if body is not None and small else b""
        head = self._protocol.send(request)
        try:
            self._sock.sendall(head + data)
        except OSError:
            pass  # It may have answered all the same.
        if body is not None and not small:
            self._upload = Upload(body, self._sock)
            self._upload.start()
        elif body is None:
            self._protocol.send(h11.EndOfMessage())

    def head(self, on_hints: Callable[[Pairs], object] | None = None) -> Head:
        """The head of the answer: a final one, or 101. ``on_hints`` gets the headers of a 103.

        Raises BadUpstream, CallerGone.
        """
        while True:
            event = self._next_event()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return event
                if event.status_code == 103 and on_hints is not None:
                    on_hints(answer_headers(event.headers.raw_items()))
            elif isinstance(event, h11.Response):
                self._left = _known_length(event)
                return event
            else:
                raise BadUpstream("the application doesn't answer in HTTP")

    def _next_event(self) -> object:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                data = self._receive(RECEIVE)
                if not data and self._protocol.their_http_version is None:
                    raise BadUpstream("the application closed the connection without an answer")
                self._protocol.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise BadUpstream(f"the application doesn't answer in HTTP: {error}") from None
        return event

    def _receive(self, size: int) -> bytes:
        """What has come, waiting for it; nothing at the end. Raises CallerGone, BadUpstream."""
        while True:
            try:
                data = self._sock.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._caller.wait(None)
                continue
            except OSError as error:
                raise BadUpstream(f"the application cut the connection: {error.strerror}") from None
            if not data and self._aborted:
                # Where the connection's end is the body's this would look like it.
                raise BadUpstream("the service cut the connection")
            return data

    def take(self) -> tuple[socket.socket, bytes]:
        """The connection and what has come beyond the 101, for whoever goes on with it."""
        self._closed = True
        self._on_close(self)
        return self._sock, self._protocol.trailing_data[0]

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._known() if self._left is not None else self._framed()
        except (BadUpstream, CallerGone) as error:
            if isinstance(error, BadUpstream):
                log.info("a proxied answer broke off: %s", error.message)
            # An answer that is not complete must not look so: the connection is cut.
            raise ConnectionResetError(errno.ECONNRESET, error.message) from None

    def _known(self) -> Iterator[bytes]:
        """A body whose length was announced, past h11: it would copy it three times."""
        assert self._left is not None
        data = self._protocol.trailing_data[0][: self._left]
        while self._left:
            data = data or self._receive(min(RECEIVE, self._left))
            if not data:
                raise BadUpstream(f"{self._left} bytes are missing")
            self._left -= len(data)
            yield data
            data = b""

    def _framed(self) -> Iterator[bytes]:
        """A chunked body, or one that ends with the connection."""
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def abort(self) -> None:
        """Cut the connection: whoever waits for it goes on with an error."""
        self._aborted = True
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It is cut already.

    def close(self) -> None:
        """Hang up, after what is left of the request has come: a client that is still sending
        would see a broken connection instead of the answer.
        """
        if self._closed:
            return
        self._closed = True
        self.abort()
        if self._upload is not None:
            self._upload.finish(self._caller)
        self._sock.close()
        self._on_close(self)


class Upload(threading.Thread):
    """Sends a request body while the answer may come already."""

    def __init__(self, body: Body, sock: socket.socket) -> None:
        super().__init__(name="toolbox-upload", daemon=True)
        self._body = body
        self._sock = sock
        self._sending = True

    def run(self) -> None:
        chunked = self._body.length is None
        try:
            for data in self._body:
                self._send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            if chunked:
                self._send(b"0\r\n\r\n")
        except ToolboxError:
            # The client has gone away or stopped: half a request must not pass for a whole.
            self._sending = False
            self._shut()

    def _send(self, data: bytes) -> None:
        try:
            if self._sending:
                self._sock.sendall(data)
        except OSError:
            self._sending = False  # It wants no more; the client may still want to send it.

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def finish(self, caller: Caller) -> None:
        """Wait a moment until the client has sent all, or stop it: afterwards nobody reads from
        its connection here.
        """
        self.join(DRAIN)
        if self.is_alive() and caller.sock is not None:
            try:
                caller.sock.shutdown(socket.SHUT_RD)
            except OSError:
                pass
        self.join()


def _known_length(head: h11.Response) -> int | None:
    """Bytes announced, if the body is as long as that: h11 has checked the header."""
    found = dict(head.headers)
    if b"transfer-encoding" in found or b"content-length" not in found:
        return None
    return int(found[b"content-length"])

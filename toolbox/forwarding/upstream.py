"""One HTTP exchange with another server.

The protocol is h11's, which supports what whole HTTP clients don't: responses that come before the
request is complete, ``103 Early Hints`` and the bytes that follow a ``101``. A connection serves
one request: a development server with one thread must not be blocked by idle ones.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager

import h11

from toolbox.errors import ToolboxError
from toolbox.forwarding.errors import BadUpstream
from toolbox.forwarding.errors import NothingListens
from toolbox.forwarding.headers import Pairs
from toolbox.forwarding.headers import response_headers
from toolbox.forwarding.route import Route
from toolbox.http.client import ClientConnection
from toolbox.http.client import ClientDisconnected
from toolbox.linux import clock
from toolbox.request import Body

CONNECT_TIMEOUT = 30.0
"""Seconds to connect: on loopback it takes longer only if the application accepts nothing."""

MAX_HEAD = 256 * 1024
"""Bytes of the head of a response, at most."""

RECEIVE = 512 * 1024
"""Bytes of one read."""

SMALL_BODY = 64 * 1024
"""Bytes of a request body that is sent whole before the response is read."""

DRAIN = 2.0
"""Seconds for the rest of a request body that is no longer needed."""

Head = h11.Response | h11.InformationalResponse

log = logging.getLogger("toolbox")


def connect(route: Route) -> socket.socket:
    """Connect to the server of ``route``. Raises NothingListens."""
    reasons = []
    for host in route.hosts:
        try:
            sock = socket.create_connection((host, route.port), CONNECT_TIMEOUT)
        except OSError as error:
            reasons.append(error.strerror or "timed out")
            continue
        # From here on the client's connection limits the wait: see ClientConnection.
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise NothingListens(f"nothing accepts connections on port {route.port}: {reasons[0]}")


class Exchange:
    """A request to ``sock`` and its response: iterating yields the response's body.

    :meth:`close` must be called in any case; :meth:`abort` may be called from any thread.
    """

    def __init__(
        self,
        sock: socket.socket,
        client: ClientConnection,
        on_close: Callable[[Exchange], object],
        *,
        waiting: Callable[[], AbstractContextManager[object]],
        peer: str,
    ) -> None:
        self._sock = sock
        self._client = client
        self._on_close = on_close
        self._waiting = waiting
        self._peer = peer
        self._protocol = h11.Connection(h11.CLIENT, MAX_HEAD)
        self._upload: Upload | None = None
        self._left: int | None = None
        self._closed = False
        self._aborted = False
        client.also_wait_for(sock)

    def send(self, request: h11.Request, body: Body | None) -> None:
        """Send the request; a large body is sent by a separate thread from now on.

        Raises BadRequest if a small body is incomplete.
        """
        small = body is not None and body.length is not None and body.length <= SMALL_BODY
        data = body.read_all(SMALL_BODY) if body is not None and small else b""
        head = self._protocol.send(request)
        # In one call: with TCP_NODELAY two would be two packets.
        try:
            self._sock.sendall(head + data)
        except OSError:
            pass  # It may have sent a response all the same.
        if body is not None and not small:
            self._upload = Upload(body, self._sock)
            self._upload.start()
        elif body is None:
            self._protocol.send(h11.EndOfMessage())

    def head(self, on_hints: Callable[[Pairs], object] | None = None) -> Head:
        """Return the head of the final response, or of a 101. ``on_hints`` is called with the
        headers of a 103. Raises BadUpstream, ClientDisconnected, and what reading the request's
        body raises.
        """
        try:
            return self._head(on_hints)
        except BadUpstream:
            # The end of an upload that the client has spoiled looks like the server's own fault.
            if self._upload is not None and self._upload.error is not None:
                raise self._upload.error from None
            raise

    def _head(self, on_hints: Callable[[Pairs], object] | None) -> Head:
        while True:
            event = self._next_event()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return event
                if event.status_code == 103 and on_hints is not None:
                    on_hints(response_headers(event.headers.raw_items()))
            elif isinstance(event, h11.Response):
                self._left = _known_length(event)
                return event
            else:
                raise BadUpstream(f"{self._peer}'s response is not HTTP")

    def _next_event(self) -> object:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                data = self._receive(RECEIVE)
                if not data and self._protocol.their_http_version is None:
                    raise BadUpstream(f"{self._peer} closed the connection without a response")
                self._protocol.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise BadUpstream(f"{self._peer}'s response is not HTTP: {error}") from None
        return event

    def _receive(self, size: int) -> bytes:
        """Wait for data and return it; empty at the end. Raises ClientDisconnected, BadUpstream."""
        while True:
            try:
                data = self._sock.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                with self._waiting():
                    self._client.wait(None)
                continue
            except OSError as error:
                message = f"{self._peer} reset the connection: {error.strerror}"
                raise BadUpstream(message) from None
            if not data and self._aborted:
                # A body may end with the connection: this end must not look like that.
                raise BadUpstream("the service closed the connection")
            return data

    def take(self) -> tuple[socket.socket, bytes]:
        """Give up the connection; return it with the bytes that followed the 101."""
        self._closed = True
        self._on_close(self)
        return self._sock, self._protocol.trailing_data[0]

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._known() if self._left is not None else self._framed()
        except (BadUpstream, ClientDisconnected) as error:
            if isinstance(error, BadUpstream):
                log.info("a proxied response broke off: %s", error.message)
            # A response that is not complete must not look so: the server cuts the connection.
            raise ConnectionResetError(errno.ECONNRESET, error.message) from None

    def _known(self) -> Iterator[bytes]:
        """Yield a body of known length without h11, which would copy it three times."""
        assert self._left is not None
        data = self._protocol.trailing_data[0][: self._left]
        while self._left:
            data = data or self._receive(min(RECEIVE, self._left))
            if not data:
                raise BadUpstream(f"the body is {self._left} bytes short")
            self._left -= len(data)
            yield data
            data = b""

    def _framed(self) -> Iterator[bytes]:
        """Yield a chunked body, or one that ends with the connection."""
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def abort(self) -> None:
        """Cut the connection: threads that wait for it get an error."""
        self._aborted = True
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # Already disconnected.

    def close(self) -> None:
        """Close the connection, after reading the rest of the request: a client that is still
        sending would see a broken connection instead of the response.
        """
        if self._closed:
            return
        self._closed = True
        self.abort()
        if self._upload is not None:
            self._upload.finish(self._client)
        self._sock.close()
        self._on_close(self)


class Upload(threading.Thread):
    """Sends a request body while the response may already arrive."""

    def __init__(self, body: Body, sock: socket.socket) -> None:
        super().__init__(name="toolbox-upload", daemon=True)
        self._body = body
        self._sock = sock
        self._sending = True
        self.error: ToolboxError | None = None
        """The reason if the client's body could not be read to its end."""
        self._done = threading.Event()

    def run(self) -> None:
        try:
            self._run()
        finally:
            self._done.set()

    def _run(self) -> None:
        chunked = self._body.length is None
        try:
            for data in self._body:
                self._send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            if chunked:
                self._send(b"0\r\n\r\n")
        except ToolboxError as error:
            # The client disconnected or stopped: half a request must not look complete. The error
            # comes first, for the thread that sees the connection end.
            self.error = error
            self._sending = False
            self._shut()

    def _send(self, data: bytes) -> None:
        try:
            if self._sending:
                self._sock.sendall(data)
        except OSError:
            self._sending = (
                False  # It reads no more; the rest of the body is still read and dropped.
            )

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def finish(self, client: ClientConnection) -> None:
        """Wait until the client has sent everything, or end that after ``DRAIN`` seconds: then the
        server reads from the connection again.
        """
        # A frozen service has read nothing: that time must not count against the client.
        done = clock.wait(self._done, DRAIN)
        if not done and client.sock is not None:
            try:
                client.sock.shutdown(socket.SHUT_RD)
            except OSError:
                pass
        self.join()


def _known_length(head: h11.Response) -> int | None:
    """Return the length of the body if it is given by Content-Length, which h11 has checked."""
    found = dict(head.headers)
    if b"transfer-encoding" in found or b"content-length" not in found:
        return None
    return int(found[b"content-length"])

"""Reading requests: JSON, query, headers, and bodies as streams and multipart.

Bodies of known length are read straight from the connection's socket into the caller's buffer
where the server is ours (three times as fast as ``wsgi.input``), otherwise from ``wsgi.input``.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import msgspec
from werkzeug.datastructures import Headers

from toolbox.errors import BadRequest
from toolbox.errors import ContentTooLarge
from toolbox.errors import InvalidBody
from toolbox.errors import RequestTimeout
from toolbox.errors import Unavailable
from toolbox.http.client import ClientConnection
from toolbox.http.connection import CHUNK as CHUNK
from toolbox.http.connection import ClientSocket
from toolbox.http.connection import Interrupted
from toolbox.http.connection import client_of
from toolbox.http.decoding import decode
from toolbox.http.decoding import only as only
from toolbox.http.decoding import prepare as prepare
from toolbox.http.environ import BODY
from toolbox.http.gunicorn_ import body_reader
from toolbox.http.gunicorn_ import is_chunked
from toolbox.http.gunicorn_ import read_buffered
from toolbox.http.gunicorn_ import read_chunked
from toolbox.http.parameters import decode_headers as decode_headers
from toolbox.http.parameters import decode_path as decode_path
from toolbox.http.parameters import decode_query as decode_query

UPGRADED = "the service is being upgraded; what runs goes on, ask again"


class RequestInfo(msgspec.Struct, frozen=True):
    """The request line and headers, for an operation that needs them itself."""

    method: str
    path: str
    query_string: str
    headers: Headers
    environ: dict[str, Any]
    interrupted: threading.Event | None = None

    def is_disconnected(self) -> bool:
        """Report whether the client has closed its connection, or will send nothing more on it.

        Raises Unavailable in an upgrade: what the request waits for goes on without it.
        """
        if self.interrupted is not None and self.interrupted.is_set():
            raise Unavailable(UPGRADED, {"Retry-After": "1"})
        return ClientConnection(self.environ).is_closed()


NO_SPLICE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP})
"""Errnos of splice(2) where a kernel, a sandbox or a file system hasn't got it."""


def _not_sent(error: TimeoutError) -> RequestTimeout | Unavailable:
    """Return the error for a body that isn't waited for any longer."""
    if isinstance(error, Interrupted):
        return Unavailable("the service is being upgraded; send it again", {"Retry-After": "1"})
    return RequestTimeout("the client stopped sending the body")


class Body:
    """The request's body as a stream, read at most once."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.content_type: str = environ.get("CONTENT_TYPE", "")
        length = environ.get("CONTENT_LENGTH") or ""
        self.length: int | None = int(length) if length.isascii() and length.isdigit() else None
        """Bytes announced, or None for a chunked body."""
        self._input = environ["wsgi.input"]
        self._chunked = environ.get("wsgi.input_terminated", False) and self.length is None
        self._left = self.length or 0
        self._client = client_of(environ)
        self._socket, self._reader = _connection(environ, self._client, self.length)
        environ[BODY] = self  # For observers, which count what was received.

    @property
    def received(self) -> int:
        """Bytes read so far."""
        return (self.length or 0) - self._left

    def read(self, size: int = CHUNK) -> bytes:
        """Return up to ``size`` bytes, at least one unless the body has ended.

        Raises BadRequest if the client disconnects before the body is complete, RequestTimeout if
        it stops sending.
        """
        if self._socket is not None:
            return self._read_socket(min(size, self._left))
        self._invite()
        wanted = size if self._chunked else min(size, self._left)
        if not wanted:
            return b""
        try:
            data = self._read_input(wanted)
        except TimeoutError as error:
            raise _not_sent(error) from None
        except Exception as error:
            # The server's own errors for a broken or cut chunked body share no base class.
            raise BadRequest(f"the body can't be read: {type(error).__name__}") from None
        self._left -= len(data)
        if not data and not self._chunked:
            raise BadRequest("the client disconnected before the body was complete")
        return data

    def _read_socket(self, size: int) -> bytes:
        assert self._socket is not None
        if early := self.read_early(size):
            return early
        if size:
            try:
                self._socket.wait_readable()  # Before a buffer is allocated for it.
            except TimeoutError as error:
                raise _not_sent(error) from None
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.readinto(buffer)])

    def _invite(self) -> None:
        if self._client is not None:
            self._client.invite()

    def _read_input(self, size: int) -> bytes:
        if self._chunked and is_chunked(self._input):
            return read_chunked(self._input, size)
        data: bytes = self._input.read(size)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Read into ``buffer``; return the count of bytes, 0 at the end. Raises as :meth:`read`."""
        if self._socket is None:  # Another server, or a chunked body.
            data = self.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        want = min(len(buffer), self._left)
        if not want:
            return 0
        if early := self.read_early(want):
            buffer[: len(early)] = early
            return len(early)
        receive = self._socket.recv_into
        return self._receive(lambda: receive(buffer[:want]))

    @property
    def is_direct(self) -> bool:
        """True if :meth:`read_early` and :meth:`splice` may be called."""
        return self._socket is not None

    def splice(self, pipe: int, size: int) -> int:
        """Move up to ``size`` bytes into a pipe that is empty; return the count, 0 at the end.

        After :meth:`read_early`. Raises as :meth:`read`, and OSError where splice(2) isn't there.
        """
        client, want = self._socket, min(size, self._left)
        if client is None or not want:
            return 0
        return self._receive(lambda: client.splice(pipe, want))

    def read_early(self, size: int) -> bytes:
        """Return up to ``size`` bytes of the body that gunicorn has read along with the head."""
        size = min(size, self._left)
        if not size:
            return b""
        self._invite()
        data = read_buffered(self._reader, size)
        self._count(len(data))
        return data

    def _count(self, count: int) -> None:
        self._left -= count
        # gunicorn drains what its reader has left before it parses the next request.
        self._reader.length = self._left

    def _receive(self, receive: Callable[[], int]) -> int:
        try:
            count = receive()
        except TimeoutError as error:
            raise _not_sent(error) from None
        except OSError as error:
            if error.errno in NO_SPLICE:
                raise
            count = 0  # A reset means the same as an early end.
        if not count:
            raise BadRequest("the client disconnected before the body was complete")
        self._count(count)
        return count

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def drain(self) -> None:
        """Read and drop the rest, so that an early response doesn't reset the connection."""
        if self._client is not None and self._client.uninvited:
            return  # It waits for 100 (Continue), and gets an error instead.
        for _ in self:
            pass

    def read_all(self, limit: int) -> bytes:
        """Return the whole body. Raises ContentTooLarge if it is over ``limit`` bytes."""
        # By the announced length first: of a body that is too large nothing is read. A chunked
        # one announces none, so it is counted below.
        if self._left > limit:
            raise ContentTooLarge(f"the body has {self.length} bytes; the limit is {limit}")
        parts: list[bytes] = []
        total = 0
        for data in self:
            total += len(data)
            if total > limit:
                raise ContentTooLarge(f"the body is over the limit of {limit} bytes")
            parts.append(data)
        return b"".join(parts)

    def is_multipart(self) -> bool:
        """Report whether the content type is ``multipart/form-data``."""
        return media_type(self.content_type) == "multipart/form-data"


def media_type(content_type: str) -> str:
    """Return the type without its parameters, in lower case (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def _connection(
    environ: dict[str, Any], client: ClientSocket | None, length: int | None
) -> tuple[ClientSocket | None, Any]:
    """Return the connection and gunicorn's body reader, if the body may be read from them."""
    reader = body_reader(environ)
    if client is None or not length or getattr(reader, "length", None) != length:
        return None, None
    return client, reader


def decode_json(data: bytes, kind: Any) -> Any:
    """Return ``data`` as ``kind``. Raises InvalidBody, which names the field, never the value."""
    if not data.strip():
        raise InvalidBody("the body is empty")
    try:
        return decode(data, kind)
    except msgspec.DecodeError as error:
        raise InvalidBody(f"invalid body: {error}") from None

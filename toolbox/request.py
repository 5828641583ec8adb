"""Reading requests: JSON, query, headers, and bodies as streams and multipart.

Bodies of known length are read straight from the connection's socket into the caller's buffer
where the server is ours (three times as fast as ``wsgi.input``); otherwise ``wsgi.input`` serves.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from toolbox.client import ClientSocket
from toolbox.client import client_of
from toolbox.decoding import decode
from toolbox.decoding import only as only
from toolbox.decoding import prepare as prepare
from toolbox.errors import BadRequest
from toolbox.errors import ContentTooLarge
from toolbox.errors import InvalidBody
from toolbox.errors import RequestTimeout
from toolbox.parameters import decode_headers as decode_headers
from toolbox.parameters import decode_path as decode_path
from toolbox.parameters import decode_query as decode_query

CHUNK = 1024 * 1024
"""Bytes read at once."""

MAX_FIELD = 64 * 1024
"""Bytes of one multipart part's headers."""


class RequestInfo(msgspec.Struct, frozen=True):
    """The request line and headers, for an operation that has to look at them itself."""

    method: str
    path: str
    query_string: str
    headers: Headers
    environ: dict[str, Any]

    def client_gone(self) -> bool:
        """Whether the client has closed its connection, or will send nothing more by it."""
        sock = self.environ.get("gunicorn.socket")
        if not isinstance(sock, socket.socket) or sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLRDHUP)
        return bool(poll.poll(0))


class Body:
    """The request's body as a stream, read at most once."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.content_type: str = environ.get("CONTENT_TYPE", "")
        length = environ.get("CONTENT_LENGTH") or ""
        self.length: int | None = int(length) if length.isdigit() else None
        """Bytes announced, or None for a chunked body."""
        self._input = environ["wsgi.input"]
        self._chunked = environ.get("wsgi.input_terminated", False) and self.length is None
        self._left = self.length or 0
        self._client = client_of(environ)
        self._socket, self._reader = _connection(environ, self._client, self.length)
        self._early = memoryview(self._reader.unreader.take_buffered() if self._reader else b"")
        environ["toolbox.body"] = self  # For whoever counts what came.

    @property
    def received(self) -> int:
        """Bytes read so far."""
        return (self.length or 0) - self._left

    def read(self, size: int = CHUNK) -> bytes:
        """Up to ``size`` bytes, at least one unless the body has ended.

        Raises BadRequest if the client goes away before the body is complete, RequestTimeout if
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
        except TimeoutError:
            raise RequestTimeout("the client stopped sending the body") from None
        except Exception as error:
            # The server's own errors for a broken or cut chunked body share no base class.
            raise BadRequest(f"the body can't be read: {type(error).__name__}") from None
        self._left -= len(data)
        if not data and not self._chunked:
            raise BadRequest("the client went away before the body was complete")
        return data

    def _read_socket(self, size: int) -> bytes:
        assert self._socket is not None
        if size and not self._early:
            self._invite()
            try:
                self._socket.wait_readable()  # No buffer is held for a client that sends nothing.
            except TimeoutError:
                raise RequestTimeout("the client stopped sending the body") from None
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.readinto(buffer)])

    def _invite(self) -> None:
        if self._client is not None:
            self._client.invite()

    def _read_input(self, size: int) -> bytes:
        reader: Any = getattr(self._input, "reader", None)
        if not self._chunked or not hasattr(reader, "parser"):
            data: bytes = self._input.read(size)
            return data
        # gunicorn waits for all that is asked for, and a client may wait for us meanwhile: wait
        # for one byte, then take what has come with it.
        try:
            data = reader.read(1)
            data += reader.read(min(size - 1, reader.buf.tell()))
        except Exception:
            self._input.failed = True  # It would know, had it been asked.
            raise
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Read into ``buffer``; the count of bytes, 0 only at the end. Raises as :meth:`read`."""
        if self._socket is None:
            data = self.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        want = min(len(buffer), self._left)
        if not want:
            return 0
        self._invite()
        if self._early:
            count = min(want, len(self._early))
            buffer[:count] = self._early[:count]
            self._early = self._early[count:]
        else:
            count = self._receive(buffer[:want])
        self._left -= count
        # The server drains what its reader says is left, before it reads the next request.
        self._reader.length = self._left
        return count

    def _receive(self, buffer: memoryview) -> int:
        assert self._socket is not None
        try:
            count = self._socket.recv_into(buffer)
        except TimeoutError:
            raise RequestTimeout("the client stopped sending the body") from None
        except OSError:
            count = 0
        if not count:
            raise BadRequest("the client went away before the body was complete")
        return count

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def drain(self) -> None:
        """Read and drop what is left, so that an early answer doesn't reset the connection."""
        if self._client is not None and self._client.uninvited:
            return  # It waits to be told, and is told not to.
        buffer = memoryview(bytearray(CHUNK))
        while self.readinto(buffer):
            pass

    def read_all(self, limit: int) -> bytes:
        """The whole body. Raises ContentTooLarge if it is over ``limit`` bytes."""
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
        """Whether the content type says ``multipart/form-data``."""
        return media_type(self.content_type) == "multipart/form-data"

    def parts(self) -> Iterator[Part]:
        """The parts of a ``multipart/form-data`` body (RFC 7578), one at a time as they come.

        Each part must be read before the next is asked for; what is left of it is skipped.
        Raises BadRequest for a body that is no multipart, is malformed or ends early.
        """
        # Imported late: most processes never see a multipart body.
        from toolbox.multipart import read_parts

        return read_parts(self)


def media_type(content_type: str) -> str:
    """The type without its parameters, in lower case: it has none (RFC 9110, 8.3.1)."""
    return parse_options_header(content_type)[0].lower()


class Part:
    """One part of a multipart body."""

    def __init__(self, name: str, filename: str | None, headers: Headers) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers
        self.chunks: Iterator[memoryview] = iter(())
        """The content; each view is good until the next is asked for."""

    def __iter__(self) -> Iterator[memoryview]:
        return self.chunks

    def text(self, limit: int = MAX_FIELD) -> str:
        """The part as UTF-8 text. Raises BadRequest if it is longer than ``limit`` bytes."""
        data = bytearray()
        for chunk in self.chunks:
            data += chunk
            if len(data) > limit:
                raise BadRequest(f"the field {self.name!r} is over {limit} bytes")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest(f"the field {self.name!r} is not UTF-8") from None


def _connection(
    environ: dict[str, Any], client: ClientSocket | None, length: int | None
) -> tuple[ClientSocket | None, Any]:
    """The connection and gunicorn's body reader, if the body may be read from them."""
    reader = getattr(environ.get("wsgi.input"), "reader", None)
    if client is None or not length or getattr(reader, "length", None) != length:
        return None, None
    return client, reader


def decode_json(data: bytes, kind: Any) -> Any:
    """``data`` as ``kind``. Raises InvalidBody; the message names the place, never the value."""
    if not data.strip():
        raise InvalidBody("the body is empty")
    try:
        return decode(data, kind)
    except msgspec.DecodeError as error:
        raise InvalidBody(f"invalid body: {error}") from None

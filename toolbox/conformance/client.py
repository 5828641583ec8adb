"""HTTP and WebSockets for the cases, by the standard library and wsproto."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from urllib.parse import urlsplit

from wsproto import ConnectionType
from wsproto import WSConnection
from wsproto.events import AcceptConnection
from wsproto.events import CloseConnection
from wsproto.events import Message
from wsproto.events import Ping
from wsproto.events import RejectConnection
from wsproto.events import Request

from toolbox.conformance import streams
from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Talk

MAX_RESPONSE = 64 * 1024 * 1024
"""Bytes of a response that are read: a broken server may send forever."""
PIECE = 1 << 16


class Unreachable(Exception):
    """No connection could be made."""


class Response(NamedTuple):
    """A response."""

    status: int
    content: bytes
    kind: str = ""

    def json(self) -> Any:
        """Return the content as JSON, that of a stream as a list. Raises ValueError."""
        if self.kind.startswith(streams.FRAMES):
            return streams.messages(self.content)
        if self.kind.startswith(streams.EVENTS):
            return streams.events(self.content)
        return json.loads(self.content)


class Client:
    """A server at ``url``. Raises ValueError for another text, OSError for a broken connection."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of a server")
        self._tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._root = parts.path.rstrip("/")
        self.token = token
        self.timeout = timeout

    def send(self, call: Call, token_header: str) -> Response:
        """Send a request and return the response."""
        body, kind = _body(call)
        headers = {**self._auth(token_header, call.open), **kind, **call.headers}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)
        # A new one each time: what one response did to a connection is no other case's fault.
        connection.sock = self._connect()
        try:
            connection.request(call.method, self._root + call.path, body, headers)
            with connection.getresponse() as response:
                content = streams.read(response, call.first, MAX_RESPONSE)
        finally:
            connection.close()
        return Response(response.status, content, response.getheader("Content-Type", ""))

    def talk(self, talk: Talk, token_header: str) -> str:
        """Hold a conversation over a WebSocket; return what is wrong with it, or nothing."""
        headers = [
            (name.encode(), value.encode())
            for name, value in self._auth(token_header, False).items()
        ]
        with self._connect() as sock:
            target = self._root + talk.path
            request = Request(host=self._host, target=target, extra_headers=headers)
            return _Conversation(sock, request, self.timeout).hold(talk)

    def _auth(self, header: str, is_open: bool) -> dict[str, str]:
        if is_open or not self.token:
            return {}
        return {header: f"Bearer {self.token}" if header == "Authorization" else self.token}

    def _connect(self) -> socket.socket:
        try:
            sock = socket.create_connection((self._host, self._port), self.timeout)
        except OSError as error:
            raise Unreachable(str(error)) from None
        if not self._tls:
            return sock
        return ssl.create_default_context().wrap_socket(sock, server_hostname=self._host)


class _Conversation:
    """One WebSocket, until the expected text was seen."""

    def __init__(self, sock: socket.socket, request: Request, timeout: float) -> None:
        self._sock = sock
        self._deadline = time.monotonic() + timeout
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._sock.sendall(self._ws.send(request))
        self._seen = ""
        self._is_open = False

    def hold(self, talk: Talk) -> str:
        sent = False
        while not (sent and talk.sees in self._seen):
            if self._is_open and not sent and talk.after in self._seen:
                self._sock.sendall(self._ws.send(Message(talk.send.encode())))
                # The answer is what comes after it.
                sent, self._seen = True, ""
            if wrong := self._receive():
                return f"{wrong}; seen: {self._seen[-300:]!r}"
        return ""

    def _receive(self) -> str:
        """Take what comes; return the reason if nothing more will."""
        self._sock.settimeout(max(0.01, self._deadline - time.monotonic()))
        try:
            data = self._sock.recv(PIECE)
        except TimeoutError:
            return "not seen in time"
        self._ws.receive_data(data or None)
        for event in self._ws.events():
            if isinstance(event, AcceptConnection):
                self._is_open = True
            elif isinstance(event, Message):
                text = event.data
                more = text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
                self._seen = (self._seen + more)[-MAX_RESPONSE:]
            elif isinstance(event, Ping):
                self._sock.sendall(self._ws.send(event.response()))
            elif isinstance(event, RejectConnection):
                return f"refused with {event.status_code}"
            elif isinstance(event, CloseConnection):
                return f"closed with {event.code}"
        return "" if data else "disconnected"


def _body(call: Call) -> tuple[bytes | None, Mapping[str, str]]:
    if call.json is not None:
        return json.dumps(call.json).encode(), {"Content-Type": "application/json"}
    if call.form is None:
        return call.body, {}
    boundary = secrets.token_hex(16)
    parts = []
    for name, value in call.form.items():
        filename, content = value if isinstance(value, tuple) else ("", value.encode())
        extra = f'; filename="{filename}"' if filename else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}

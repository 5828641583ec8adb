"""The opening handshake (RFC 6455, 4.2), and taking the socket over from gunicorn."""

from __future__ import annotations

import base64
import socket
from collections.abc import Collection
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import NotSupported
from toolbox.http.environ import REQUEST_ID
from toolbox.http.gunicorn_ import body_reader
from toolbox.http.gunicorn_ import take_buffered
from toolbox.sockets.subprotocols import Subprotocols
from toolbox.sockets.subprotocols import choose_subprotocol
from toolbox.sockets.subprotocols import offered_subprotocols

NONCE = 16
"""Bytes of a key (RFC 6455, 4.1)."""


def check_handshake(environ: dict[str, Any]) -> str:
    """Return the client's key.

    Raises BadRequest unless this is a WebSocket handshake, version 13, and NotSupported if the
    WSGI server isn't ours, whose sockets can be taken over.
    """
    version = {"Sec-WebSocket-Version": "13"}
    key: str = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or not key:
        raise BadRequest("this is a WebSocket: an upgrade is expected", version)
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        raise BadRequest("WebSocket version 13 is expected", version)
    if not _is_nonce(key):
        raise BadRequest("Sec-WebSocket-Key must be 16 bytes in base64")
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise BadRequest("a WebSocket needs HTTP/1.1")
    if "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "").strip("0"):
        # A body would be taken for frames.
        raise BadRequest("a WebSocket handshake has no body")
    if "gunicorn.socket" not in environ:
        raise NotSupported("WebSockets are not supported by this WSGI server")
    return key


def _is_nonce(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == NONCE
    except ValueError:
        return False


def greeting(
    environ: dict[str, Any], key: str, known: Subprotocols, secret: Collection[str] = ()
) -> bytes:
    """Return the response 101 for the client's ``key``, with at most one subprotocol: the choice
    excludes ``secret``.
    """
    from wsproto.utilities import generate_accept_token

    accepted = generate_accept_token(key.encode("latin-1")).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accepted}",
        f"X-Request-Id: {environ[REQUEST_ID]}",
    ]
    # What a response holds is logged and cached.
    shown = [offer for offer in offered_subprotocols(environ) if offer not in secret]
    if chosen := choose_subprotocol(shown, known):
        lines.append(f"Sec-WebSocket-Protocol: {chosen}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def take_socket(environ: dict[str, Any]) -> tuple[socket.socket, bytes]:
    """Return the connection's socket and the bytes read beyond the request.

    gunicorn keeps an object that is at its end already, so that it closes that at once and its
    count of connections stays right.
    """
    theirs: socket.socket = environ["gunicorn.socket"]
    early = take_buffered(body_reader(environ))
    ours = socket.socket(fileno=theirs.detach())
    # In place of the connection gunicorn gets one half of a pair whose other half is closed.
    dead, other = socket.socketpair()
    other.close()
    socket.socket.__init__(theirs, fileno=dead.detach())
    ours.setblocking(True)
    if ours.family != socket.AF_UNIX:
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, early

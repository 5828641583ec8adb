"""Requests forwarded by a route, and the responses to the client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import flask
from werkzeug.datastructures import Headers

from toolbox.errors import BadRequest
from toolbox.forwarding.headers import Pairs
from toolbox.forwarding.headers import own_subprotocol
from toolbox.forwarding.headers import request_headers
from toolbox.forwarding.headers import response_headers
from toolbox.forwarding.headers import text
from toolbox.forwarding.headers import upgrade_headers
from toolbox.forwarding.headers import upgraded_head
from toolbox.forwarding.route import Route
from toolbox.forwarding.target import request_target
from toolbox.forwarding.tunnel import Tunnel
from toolbox.http.client import ClientConnection
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.sockets.handler import ConnectionTakeover
from toolbox.sockets.loop import Loop

if TYPE_CHECKING:
    import h11

    from toolbox.forwarding.upstream import Exchange
    from toolbox.forwarding.upstream import Head

Waiting = Callable[[dict[str, Any]], AbstractContextManager[object]]
OnClose = Callable[[], object]


class ProxyResponse(flask.Response):
    """A response that Flask, which turns all others into its own class, sends unchanged."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        # The inherited method encodes Location anew and removes headers of a 304.
        return self.headers


class Forwarder:
    """Forwards requests, and keeps track of the exchanges in progress so that it can end them.

    ``waiting(client)`` is held while a thread waits for the server, None for nothing.
    """

    def __init__(self, loop: Loop, waiting: Waiting | None = None) -> None:
        self._loop = loop
        self._waiting = waiting or nullcontext
        self._exchanges: set[Exchange] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Abort every exchange."""
        # A copy: an aborted exchange is forgotten by its own thread.
        with self._lock:
            exchanges = list(self._exchanges)
        for exchange in exchanges:
            exchange.abort()

    def forward(
        self, request: RequestInfo, body: Body, route: Route, on_close: OnClose = int
    ) -> ProxyResponse:
        """Send the request by ``route``; return the response. ``on_close()`` is called once that is
        sent, or after an error. Raises NothingListens, BadUpstream, ClientDisconnected, BadRequest.
        """
        chunked = body.length is None and "Transfer-Encoding" in request.headers
        exchange = self._open(route, request.environ, on_close)
        try:
            headers = request_headers(request, route, chunked=chunked)
            exchange.send(_head(request, route, headers), body if chunked or body.length else None)
            response = exchange.head(request.environ.get("wsgi.early_hints"))
        except BaseException:  # Until it is handed over, nothing else closes the connection.
            exchange.close()
            raise
        return _relay(exchange, response)

    def tunnel(
        self, request: RequestInfo, route: Route, on_close: OnClose = int
    ) -> ConnectionTakeover | ProxyResponse:
        """Send the WebSocket handshake by ``route``; return what connects the client to the server,
        or the response if that refuses. Raises as :meth:`forward`.
        """
        exchange = self._open(route, request.environ, on_close)
        try:
            headers = upgrade_headers(request, route)
            exchange.send(_head(request, route, headers), None)
            response = exchange.head()
        except BaseException:
            exchange.close()
            raise
        if response.status_code != 101:
            return _relay(exchange, response)
        upstream, early = exchange.take()
        status_line = b"HTTP/1.1 101 " + (bytes(response.reason) or b"Switching Protocols")
        ours = own_subprotocol(request.environ, route.removed)
        to_client = upgraded_head(status_line, response.headers.raw_items(), ours)
        return ConnectionTakeover(
            lambda client, to_upstream, on_end: Tunnel(
                client, upstream, to_client + early, to_upstream, self._loop, on_end
            )
        )

    def _open(self, route: Route, environ: dict[str, Any], on_close: OnClose) -> Exchange:
        # Not at the start: h11 and what needs it take 3 % of that, and most services never forward.
        from toolbox.forwarding.upstream import Exchange
        from toolbox.forwarding.upstream import connect

        def closed(exchange: Exchange) -> None:
            self._forget(exchange)
            on_close()

        try:
            with self._waiting(environ):
                sock = connect(route)
        except BaseException:
            on_close()
            raise
        client, waiting = ClientConnection(environ), partial(self._waiting, environ)
        exchange = Exchange(sock, client, closed, waiting=waiting, peer=route.peer)
        with self._lock:
            self._exchanges.add(exchange)
        return exchange

    def _forget(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchanges.discard(exchange)


def _head(request: RequestInfo, route: Route, headers: Pairs) -> h11.Request:
    import h11

    target = request_target(request.environ, route.head, route.removed.query, route.before)
    try:
        return h11.Request(
            method=request.method,
            target=target,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        )
    except h11.LocalProtocolError as error:
        raise BadRequest(f"the request can't be forwarded: {error}") from None


def _relay(exchange: Exchange, response: Head) -> ProxyResponse:
    reason = text(bytes(response.reason))
    relayed = ProxyResponse(
        exchange,
        f"{response.status_code} {reason}",
        Headers(response_headers(response.headers.raw_items())),
        direct_passthrough=True,
    )
    if b"content-type" not in dict(response.headers):
        del relayed.headers["Content-Type"]  # Werkzeug's default.
    return relayed

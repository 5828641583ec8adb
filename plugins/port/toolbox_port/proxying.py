"""Requests passed on to a port, and answers passed back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import h11
from werkzeug.datastructures import Headers

from toolbox.auth import Auth
from toolbox.errors import BadRequest
from toolbox.handoff import TakeOver
from toolbox.loop import Loop
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox_port.caller import Caller
from toolbox_port.headers import Pairs
from toolbox_port.headers import answer_headers
from toolbox_port.headers import own_subprotocol
from toolbox_port.headers import request_headers
from toolbox_port.headers import text
from toolbox_port.headers import upgrade_headers
from toolbox_port.headers import upgraded_head
from toolbox_port.target import parse_port
from toolbox_port.target import request_target
from toolbox_port.tunnel import Tunnel
from toolbox_port.upstream import Exchange
from toolbox_port.upstream import connect

if TYPE_CHECKING:
    from toolbox_port.relayed import Relayed


class Proxy:
    """Knows the exchanges in progress, so that it can end them."""

    def __init__(self, loop: Loop, auth: Auth) -> None:
        self._loop = loop
        self._auth = auth
        self._exchanges: set[Exchange] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Cut every exchange."""
        with self._lock:
            exchanges = list(self._exchanges)
        for exchange in exchanges:
            exchange.abort()

    def forward(self, port: str, request: RequestInfo, body: Body, head: str) -> Relayed:
        """See :meth:`toolbox_port.backend.PortBackend.forward`."""
        number = parse_port(port)
        head = _below_prefix(request, head)
        chunked = body.length is None and "Transfer-Encoding" in request.headers
        headers = request_headers(
            request,
            number,
            head,
            chunked=chunked,
            keep_authorization=self._is_the_applications(request),
        )
        exchange = self._open(number, request)
        try:
            exchange.send(_head(request, head, headers), body if chunked or body.length else None)
            answer = exchange.head(request.environ.get("wsgi.early_hints"))
        except BaseException:
            exchange.close()
            raise
        return _relay(exchange, answer)

    def tunnel(self, port: str, request: RequestInfo, head: str) -> TakeOver | Relayed:
        """See :meth:`toolbox_port.backend.PortBackend.tunnel`."""
        number = parse_port(port)
        head = _below_prefix(request, head)
        headers = upgrade_headers(
            request,
            number,
            head,
            keep_authorization=self._is_the_applications(request),
        )
        exchange = self._open(number, request)
        try:
            exchange.send(_head(request, head, headers), None)
            answer = exchange.head()
        except BaseException:
            exchange.close()
            raise
        if answer.status_code != 101:
            return _relay(exchange, answer)
        upstream, early_answer = exchange.take()
        status_line = b"HTTP/1.1 101 " + (bytes(answer.reason) or b"Switching Protocols")
        told = upgraded_head(
            status_line, answer.headers.raw_items(), own_subprotocol(request.environ)
        )
        return TakeOver(
            lambda client, early, on_end: Tunnel(
                client, upstream, told + early_answer, early, self._loop, on_end
            )
        )

    def _open(self, port: int, request: RequestInfo) -> Exchange:
        exchange = Exchange(connect(port), Caller(request.environ), self._forget)
        with self._lock:
            self._exchanges.add(exchange)
        return exchange

    def _is_the_applications(self, request: RequestInfo) -> bool:
        """Whether ``Authorization`` is meant for the application. A token of the service's never
        is: clients send it beside a preview token, or a preview token as the bearer's.
        """
        return not self._auth.is_own(request.environ.get("HTTP_AUTHORIZATION", ""))

    def _forget(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchanges.discard(exchange)


def _below_prefix(request: RequestInfo, head: str) -> str:
    return request.environ.get("SCRIPT_NAME", "") + head if head else ""


def _head(request: RequestInfo, head: str, headers: Pairs) -> h11.Request:
    try:
        return h11.Request(
            method=request.method,
            target=request_target(request.environ, head),
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        )
    except h11.LocalProtocolError as error:
        raise BadRequest(f"this can't be passed on: {error}") from None


def _relay(exchange: Exchange, answer: h11.Response | h11.InformationalResponse) -> Relayed:
    from toolbox_port.relayed import Relayed  # Needs Flask: see there.

    reason = text(bytes(answer.reason))
    relayed = Relayed(
        exchange,
        f"{answer.status_code} {reason}",
        Headers(answer_headers(answer.headers.raw_items())),
        direct_passthrough=True,
    )
    if b"content-type" not in dict(answer.headers):
        del relayed.headers["Content-Type"]  # Made up by Werkzeug.
    return relayed

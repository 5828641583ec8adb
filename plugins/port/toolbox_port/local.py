"""The backend ``local``: the ports of this machine."""

from __future__ import annotations

from toolbox.forwarding.proxying import Forwarder
from toolbox.forwarding.proxying import ProxyResponse
from toolbox.forwarding.route import Route
from toolbox.http.client import ClientConnection
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.sockets.handler import ConnectionTakeover
from toolbox.threads import Gate
from toolbox_port.errors import TooManyFollowers
from toolbox_port.following import PortStream
from toolbox_port.following import wait_for
from toolbox_port.listening import Listener
from toolbox_port.listening import listeners
from toolbox_port.listening import own_sockets
from toolbox_port.models import OpenPort
from toolbox_port.target import parse_port
from toolbox_port.target import route_to

MAX_FOLLOWERS = 32
"""Clients that may follow the ports at once: each takes a thread and polls the kernel itself."""


def _too_many_followers() -> TooManyFollowers:
    return TooManyFollowers(f"too many followers (limit {MAX_FOLLOWERS})", {"Retry-After": "1"})


class LocalPorts:
    """See :class:`toolbox_port.backend.PortBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._stopping = context.stopping
        self._followers = Gate(MAX_FOLLOWERS, _too_many_followers)
        self._auth = context.auth
        self._forwarder = Forwarder(context.loop)
        # The service listens before its backends are made, and on nothing more later.
        self._own = own_sockets()

    def close(self) -> None:
        self._forwarder.close()

    def _others(self) -> list[Listener]:
        return [found for found in listeners() if found.inode not in self._own]

    def ports(self) -> list[int]:
        return sorted({listener.port for listener in self._others()})

    def in_use(self, port: int) -> bool:
        return any(listener.port == port for listener in listeners())

    def follow(self, request: RequestInfo) -> PortStream:
        self._followers.enter()
        client = ClientConnection(request.environ)
        return PortStream(self._others, client, self._stopping, self._followers.leave)

    def wait(self, port: int, timeout: float, request: RequestInfo) -> OpenPort:
        return wait_for(port, timeout, listeners, ClientConnection(request.environ))

    def forward(self, port: str, request: RequestInfo, body: Body, head: str) -> ProxyResponse:
        return self._forwarder.forward(request, body, self._route(port, request, head))

    def tunnel(
        self, port: str, request: RequestInfo, head: str
    ) -> ConnectionTakeover | ProxyResponse:
        return self._forwarder.tunnel(request, self._route(port, request, head))

    def _route(self, port: str, request: RequestInfo, head: str) -> Route:
        credentials = self._auth.credentials_in(request.environ)
        return route_to(parse_port(port), request, head, credentials)

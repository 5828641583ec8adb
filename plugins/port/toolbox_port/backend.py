"""The Protocol of a backend of the group ``port``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from werkzeug.wrappers import Response

from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.sockets.handler import ConnectionTakeover
from toolbox_port.models import OpenPort


class PortBackend(Protocol):
    """Lists the TCP ports of the sandbox, and reaches what listens on them."""

    def ports(self) -> list[int]:
        """Return the listening ports, ascending, without the service's own."""

    def in_use(self, port: int) -> bool:
        """Report whether anything listens on ``port``, the service included."""

    def follow(self, request: RequestInfo) -> Iterable[bytes]:
        """Return the changes as an event stream, which ends when the client of ``request``
        disconnects. Raises TooManyFollowers.
        """

    def wait(self, port: int, timeout: float, request: RequestInfo) -> OpenPort:
        """Wait until something listens on ``port``.

        Raises NotOpenedInTime after ``timeout`` seconds, ClientDisconnected if the client of
        ``request`` disconnects.
        """

    def forward(self, port: str, request: RequestInfo, body: Body, head: str) -> Response:
        """Send the request, without the ``head`` of its path, to ``port``; return the response.

        Raises InvalidPort, NothingListens, BadUpstream, ClientDisconnected.
        """

    def tunnel(self, port: str, request: RequestInfo, head: str) -> ConnectionTakeover | Response:
        """Send the WebSocket handshake to ``port``; return what connects the client to it, or the
        response if it refuses. Raises as :meth:`forward`.
        """

"""What a backend of the group ``port`` can do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from werkzeug.wrappers import Response

from toolbox.handoff import TakeOver
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox_port.models import OpenPort


class PortBackend(Protocol):
    """Knows the TCP ports of the sandbox, and reaches what listens on them."""

    def ports(self) -> list[int]:
        """The ports that are listened on right now, ascending, but for the service's own."""

    def in_use(self, port: int) -> bool:
        """Whether anybody listens on ``port``, the service included."""

    def follow(self, request: RequestInfo) -> Iterable[bytes]:
        """The changes as an event stream, for as long as the client of ``request`` is there.

        Raises TooManyFollowers.
        """

    def wait(self, port: int, timeout: float, request: RequestInfo) -> OpenPort:
        """Wait until somebody listens on ``port``. Raises NotOpenedInTime after ``timeout``
        seconds, CallerGone if the client of ``request`` hangs up.
        """

    def forward(self, port: str, request: RequestInfo, body: Body, head: str) -> Response:
        """Send the request to what listens on ``port``, without the ``head`` of its path; its
        answer.

        Raises InvalidPort, NothingListens, BadUpstream, CallerGone.
        """

    def tunnel(self, port: str, request: RequestInfo, head: str) -> TakeOver | Response:
        """Send the WebSocket handshake to what listens on ``port``: what joins the client to it,
        or its answer if it refuses. Raises as :meth:`forward`.
        """

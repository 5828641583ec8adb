"""Requests forwarded to the services of sandboxes."""

from __future__ import annotations

import re
from contextlib import suppress

from werkzeug.wrappers import Response

from toolbox.errors import ToolboxError
from toolbox.forwarding.errors import NothingListens
from toolbox.forwarding.proxying import Forwarder
from toolbox.forwarding.route import Route
from toolbox.http.connection import elsewhere
from toolbox.http.environ import AUTH
from toolbox.lifecycle import Context
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.sockets.handler import ConnectionTakeover
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import WrongState
from toolbox_fleet.gateway.foreign_ports import ForeignPorts
from toolbox_fleet.gateway.places import Places
from toolbox_fleet.gateway.routers import checked
from toolbox_fleet.gateway.visits import visit_of
from toolbox_fleet.gateway.ways import authority
from toolbox_fleet.gateway.ways import way_to_port
from toolbox_fleet.gateway.ways import way_to_sandbox
from toolbox_fleet.models.addresses import Upstream

_PROXY = re.compile(rf"{MOUNT}/[^/]+/(?:x/abs)?proxy/([0-9]{{1,5}})(?:/|\Z)")
"""The paths of the group ``port`` below a sandbox."""


class Gateway:
    """Forwards requests to the sandboxes of ``backend``."""

    def __init__(self, backend: FleetBackend, context: Context, foreign: ForeignPorts) -> None:
        self._backend = backend
        self._foreign = foreign
        self._auth = context.auth
        self._places = Places()
        self._forwarder = Forwarder(context.loop, elsewhere)

    def close(self) -> None:
        """Abort what is in progress."""
        self._forwarder.close()

    def forward(self, key: str, request: RequestInfo, body: Body) -> Response:
        """Send a request to the sandbox ``key``; return the response.

        Raises NoSuchSandbox, WrongState, ForeignPort, Unavailable, and what forwarding raises.
        """
        sandbox_id, upstream, route = self._way(key, request)
        # A frozen sandbox must not take the threads that serve the others.
        leave = self._places.take(sandbox_id)
        try:
            response = self._forwarder.forward(request, body, route, leave)
            return checked(response, upstream)
        except NothingListens as error:
            raise self._unreachable(sandbox_id, upstream, error) from None

    def tunnel(self, key: str, request: RequestInfo) -> ConnectionTakeover | Response:
        """Send a WebSocket handshake to the sandbox ``key``; return what connects the client to it,
        or the response if it refuses. Raises as :meth:`forward`.
        """
        sandbox_id, upstream, route = self._way(key, request)
        leave = self._places.take(sandbox_id)
        try:
            connected = self._forwarder.tunnel(request, route, leave)
            if isinstance(connected, ConnectionTakeover):
                return connected
            return checked(connected, upstream)
        except NothingListens as error:
            raise self._unreachable(sandbox_id, upstream, error) from None

    def _way(self, key: str, request: RequestInfo) -> tuple[str, Upstream, Route]:
        """Return the sandbox's id, its address, and the way there."""
        sandbox_id, upstream = self._upstream(key)
        visit = visit_of(request.environ)
        port = visit.port if visit is not None and not visit.is_api else _proxied(request.path)
        if port:
            self._foreign.check_at(upstream, sandbox_id, port)
        if visit is not None and not visit.is_api:
            route = way_to_port(visit.port, upstream, request, self._auth)
            return sandbox_id, upstream, route
        admitted = AUTH in request.environ or (visit is not None and visit.admitted)
        # A preview of the API's own port has no path before the operation's.
        mount = "" if visit is not None else key
        route = way_to_sandbox(mount, upstream, request, self._auth, admitted=admitted)
        return sandbox_id, upstream, route

    def _upstream(self, key: str) -> tuple[str, Upstream]:
        """Return id and address of a sandbox. Raises NoSuchSandbox, WrongState."""
        sandbox = self._backend.sandbox(key)
        try:
            return sandbox.id, self._backend.upstream(sandbox.id)
        except Refused:  # The sandbox is this service, which has been reached already.
            raise NoSuchSandbox("no sandbox is below this one") from None
        except WrongState:
            # The state may have changed since.
            state = self._backend.sandbox(sandbox.id).state
            reason = f" ({sandbox.error_reason})" if sandbox.error_reason else ""
            # Clients look for "sandbox is not running" and "is the sandbox started".
            raise WrongState(
                f"the sandbox is not running, its state is {state}{reason}: is the sandbox started?"
            ) from None

    def _unreachable(
        self, sandbox_id: str, upstream: Upstream, error: NothingListens
    ) -> NothingListens:
        way = f" by the router at {authority(upstream)}" if upstream.router is not None else ""
        message = f"the sandbox's service can't be reached{way} ({sandbox_id}): {error.message}"
        # It was started a moment ago; perhaps by now it is known why it isn't any more.
        with suppress(ToolboxError):
            now = self._backend.sandbox(sandbox_id)
            reason = f", {now.error_reason}" if now.error_reason else ""
            message += f" (the sandbox is {now.state}{reason})"
        return NothingListens(message)


def _proxied(path: str) -> int:
    """Return the port that the sandbox's service is asked to forward the request to, 0 for none."""
    found = _PROXY.match(path)
    return int(found[1]) if found else 0

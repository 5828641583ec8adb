"""The connection over which clients follow events."""

from __future__ import annotations

import msgspec

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.sockets.handler import SocketHandler
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import is_local
from toolbox_fleet.access.address import root_url
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import InvalidHost
from toolbox_fleet.errors import UnsupportedProtocol
from toolbox_fleet.events.packets import Viewer
from toolbox_fleet.plane import plane_of

operations = Operations()


class EventQuery(msgspec.Struct, frozen=True):
    """The protocol version and the transport of an Engine.IO client."""

    version: str = msgspec.field(default="", name="EIO")
    transport: str = ""


@operations.websocket("/api/socket.io/", public=True, errors=(UnsupportedProtocol, InvalidHost))
def follow_events(backend: FleetBackend, query: EventQuery, request: RequestInfo) -> SocketHandler:
    """Follow the events of all sandboxes by Socket.IO.

    The token is sent in the first packet. ``sandbox.created``, ``sandbox.state.updated`` and
    ``sandbox.desired-state.updated`` come when they have happened.
    """
    if (query.version, query.transport) != ("4", "websocket"):
        raise UnsupportedProtocol("only Engine.IO 4 over WebSocket is supported")
    viewer = Viewer(proxied=root_url(request) + MOUNT, is_local=is_local(request))
    return plane_of(backend).events.handler(viewer)

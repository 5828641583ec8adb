"""The sandboxes' own APIs, through the control plane."""

from __future__ import annotations

from werkzeug.wrappers import Response

from toolbox.errors import Unavailable
from toolbox.forwarding.errors import BadUpstream
from toolbox.forwarding.errors import NothingListens
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.sockets.handler import ConnectionTakeover
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import ForeignPort
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import WrongState
from toolbox_fleet.gateway.credentials import is_for_sandbox
from toolbox_fleet.plane import plane_of

operations = Operations()

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE")
WEBDAV = ("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH")
ERRORS = (BadUpstream, ForeignPort, NoSuchSandbox, NothingListens, Unavailable, WrongState)
PATH = f"{MOUNT}/{{sandbox_id}}/{{path:path}}"


@operations.operation(PATH, *METHODS, *WEBDAV, delegated=is_for_sandbox, errors=ERRORS)
def forward(
    backend: FleetBackend, sandbox_id: str, path: str, request: RequestInfo, body: Body
) -> Response:
    """Forward the request to the sandbox's own API, and its response to the client.

    Both bodies are streamed. The client's token is replaced by the sandbox's. A request with a
    signed URL, a ticket or a preview token of the sandbox goes on without one: the sandbox decides.
    """
    return plane_of(backend).gateway.forward(sandbox_id, request, body)


@operations.websocket(PATH, delegated=is_for_sandbox, errors=ERRORS)
def forward_websocket(
    backend: FleetBackend, sandbox_id: str, path: str, request: RequestInfo
) -> ConnectionTakeover | Response:
    """Connect a WebSocket to one of the sandbox's own API, byte for byte."""
    return plane_of(backend).gateway.tunnel(sandbox_id, request)

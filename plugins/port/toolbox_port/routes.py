"""The port operations."""

from __future__ import annotations

from werkzeug.wrappers import Response

from toolbox.forwarding.errors import BadUpstream
from toolbox.forwarding.errors import NothingListens
from toolbox.group import Group
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox.sockets.handler import ConnectionTakeover
from toolbox_port.backend import PortBackend
from toolbox_port.errors import InvalidPort
from toolbox_port.errors import NotOpenedInTime
from toolbox_port.errors import TooManyFollowers
from toolbox_port.models import OpenPort
from toolbox_port.models import PortList
from toolbox_port.models import PortUse
from toolbox_port.models import WaitQuery
from toolbox_port.target import parse_port

group = Group(
    "port",
    backend=PortBackend,
    default_backend="local",
    summary="The listening ports, and a proxy to them",
)

PREVIEW_PORTS = (3000, 9999)
"""The range of ``in-use``, as the SDKs document it."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE")
WEBDAV = ("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH")
PROXY_ERRORS = (InvalidPort, NothingListens, BadUpstream)


@group.get("/port")
def get_ports(backend: PortBackend) -> PortList:
    """List the listening TCP ports, IPv4 and IPv6, except the service's own."""
    return PortList(backend.ports())


@group.get("/port/{port}/in-use", errors=(InvalidPort,))
def is_port_in_use(backend: PortBackend, port: str) -> PortUse:
    """Report whether a port from 3000 to 9999 is in use."""
    return PortUse(backend.in_use(parse_port(port, *PREVIEW_PORTS)))


@group.operation("/proxy/{port}/{path:path}", *METHODS, *WEBDAV, errors=PROXY_ERRORS)
def proxy(backend: PortBackend, port: str, path: str, request: RequestInfo, body: Body) -> Response:
    """Forward the request to the application on the port, and its response to the client.

    Path and query arrive as they were sent. Both bodies are streamed. The service's credentials are
    removed; ``X-Forwarded-For``, ``-Host``, ``-Proto`` and ``-Prefix`` describe the original
    request. If the client disconnects, so does the service.
    """
    return backend.forward(port, request, body, f"/proxy/{port}")


@group.websocket("/proxy/{port}/{path:path}", errors=PROXY_ERRORS)
def proxy_websocket(
    backend: PortBackend, port: str, path: str, request: RequestInfo
) -> ConnectionTakeover | Response:
    """Connect a WebSocket to one of the application on the port, byte for byte."""
    return backend.tunnel(port, request, f"/proxy/{port}")


@group.operation("/x/absproxy/{port}/{path:path}", *METHODS, *WEBDAV, errors=PROXY_ERRORS)
def proxy_whole_path(
    backend: PortBackend, port: str, path: str, request: RequestInfo, body: Body
) -> Response:
    """Forward the request as ``/proxy`` does, with its whole path.

    For an application whose pages have absolute paths and whose root can be configured:
    ``vite --base /x/absproxy/5173/``.
    """
    return backend.forward(port, request, body, "")


@group.websocket("/x/absproxy/{port}/{path:path}", errors=PROXY_ERRORS)
def proxy_whole_path_websocket(
    backend: PortBackend, port: str, path: str, request: RequestInfo
) -> ConnectionTakeover | Response:
    """Connect a WebSocket to one of the application on the port, with its whole path."""
    return backend.tunnel(port, request, "")


@group.get("/x/ports/events", errors=(TooManyFollowers,))
def follow_ports(backend: PortBackend, request: RequestInfo) -> StreamResponse:
    """Follow the ports as server-sent events: ``listening``, ``opened`` and ``closed``.

    The stream begins with a ``listening`` for each open port. The data is JSON: ``port``,
    ``addresses``, and ``pid`` and ``process`` if the process is visible.
    """
    return StreamResponse(
        backend.follow(request),
        "text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


@group.get("/x/ports/{port}/wait", errors=(InvalidPort, NotOpenedInTime))
def wait_for_port(
    backend: PortBackend, port: str, query: WaitQuery, request: RequestInfo
) -> OpenPort:
    """Wait until something listens on a port; return the port and its process."""
    return backend.wait(parse_port(port), query.timeout, request)

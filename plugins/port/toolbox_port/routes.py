"""The port operations."""

from __future__ import annotations

from werkzeug.wrappers import Response

from toolbox.group import Group
from toolbox.handoff import TakeOver
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import StreamAnswer
from toolbox_port.backend import PortBackend
from toolbox_port.errors import BadUpstream
from toolbox_port.errors import InvalidPort
from toolbox_port.errors import NothingListens
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
    summary="Which ports are listened on, and a proxy to them",
)

PREVIEW_PORTS = (3000, 9999)
"""The range ``in-use`` can be asked for; the SDKs document it so."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE")
WEBDAV = ("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH")
PROXY_ERRORS = (InvalidPort, NothingListens, BadUpstream)


@group.get("/port")
def get_ports(backend: PortBackend) -> PortList:
    """List the TCP ports that are listened on, IPv4 and IPv6, but for the service's own."""
    return PortList(backend.ports())


@group.get("/port/{port}/in-use", errors=(InvalidPort,))
def is_port_in_use(backend: PortBackend, port: str) -> PortUse:
    """Tell whether a port from 3000 to 9999 is listened on."""
    return PortUse(backend.in_use(parse_port(port, *PREVIEW_PORTS)))


@group.operation("/proxy/{port}/{path:path}", *METHODS, *WEBDAV, errors=PROXY_ERRORS)
def proxy(backend: PortBackend, port: str, path: str, request: RequestInfo, body: Body) -> Response:
    """Forward the request to what listens on the port, and its answer to the client.

    Path and query arrive as they were sent. Both bodies are streamed. The service's token stays
    here; ``X-Forwarded-For``, ``-Host``, ``-Proto`` and ``-Prefix`` tell where the request came
    from. If the client hangs up, so does the service.
    """
    return backend.forward(port, request, body, f"/proxy/{port}")


@group.websocket("/proxy/{port}/{path:path}", errors=PROXY_ERRORS)
def proxy_websocket(
    backend: PortBackend, port: str, path: str, request: RequestInfo
) -> TakeOver | Response:
    """Join a WebSocket to the one behind the port, byte for byte."""
    return backend.tunnel(port, request, f"/proxy/{port}")


@group.operation("/x/absproxy/{port}/{path:path}", *METHODS, *WEBDAV, errors=PROXY_ERRORS)
def proxy_whole_path(
    backend: PortBackend, port: str, path: str, request: RequestInfo, body: Body
) -> Response:
    """Forward the request as ``/proxy`` does, with its whole path.

    For an application whose pages name their parts from the root on, and that can be told where
    its root is: ``vite --base /x/absproxy/5173/``.
    """
    return backend.forward(port, request, body, "")


@group.websocket("/x/absproxy/{port}/{path:path}", errors=PROXY_ERRORS)
def proxy_whole_path_websocket(
    backend: PortBackend, port: str, path: str, request: RequestInfo
) -> TakeOver | Response:
    """Join a WebSocket to the one behind the port, with its whole path."""
    return backend.tunnel(port, request, "")


@group.get("/x/ports/events", errors=(TooManyFollowers,))
def follow_ports(backend: PortBackend, request: RequestInfo) -> StreamAnswer:
    """Follow the ports as server-sent events: ``listening``, ``opened`` and ``closed``.

    First a ``listening`` for each port that is open. The data is JSON: ``port``, ``addresses``,
    ``pid`` and ``process``, the latter two if they are to be seen.
    """
    return StreamAnswer(
        backend.follow(request),
        "text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


@group.get("/x/ports/{port}/wait", errors=(InvalidPort, NotOpenedInTime))
def wait_for_port(
    backend: PortBackend, port: str, query: WaitQuery, request: RequestInfo
) -> OpenPort:
    """Wait until a port is listened on, and tell by whom."""
    return backend.wait(parse_port(port), query.timeout, request)

"""The operations of a control plane that the SDKs need."""

from __future__ import annotations

from toolbox.group import Group
from toolbox.handler import SocketHandler
from toolbox.request import RequestInfo
from toolbox.response import TextAnswer
from toolbox_standalone.address import toolbox_proxy_url
from toolbox_standalone.backend import StandaloneBackend
from toolbox_standalone.errors import InvalidHost
from toolbox_standalone.errors import InvalidPort
from toolbox_standalone.errors import NoSigningKey
from toolbox_standalone.errors import NoSuchSandbox
from toolbox_standalone.errors import UnsupportedProtocol
from toolbox_standalone.models import EventQuery
from toolbox_standalone.models import PreviewUrl
from toolbox_standalone.models import Sandbox
from toolbox_standalone.models import ToolboxProxyUrl

group = Group(
    "standalone",
    backend=StandaloneBackend,
    default_backend="local",
    summary="The official SDKs without a control plane",
)


@group.get("/api/sandbox/{sandbox_id}", errors=(InvalidHost, NoSuchSandbox))
def get_sandbox(backend: StandaloneBackend, sandbox_id: str, request: RequestInfo) -> Sandbox:
    """Describe this sandbox, whatever id it is asked for by."""
    return backend.sandbox(sandbox_id, toolbox_proxy_url(request))


@group.get("/api/sandbox/{sandbox_id}/toolbox-proxy-url", errors=(InvalidHost, NoSuchSandbox))
def get_toolbox_proxy_url(
    backend: StandaloneBackend, sandbox_id: str, request: RequestInfo
) -> ToolboxProxyUrl:
    """Tell where the sandbox's own API is."""
    return ToolboxProxyUrl(
        backend.sandbox(sandbox_id, toolbox_proxy_url(request)).toolbox_proxy_url
    )


@group.get(
    "/api/sandbox/{sandbox_id}/signing-key",
    errors=(NoSigningKey, NoSuchSandbox),
    content_type="text/html",
)
def get_signing_key(backend: StandaloneBackend, sandbox_id: str) -> TextAnswer:
    """Tell the key that the SDK signs URLs with.

    As it is, not as JSON, and of the type the control plane sends: the Go SDK takes the body for
    the key, others look at the type.
    """
    return TextAnswer(backend.signing_key(sandbox_id), "text/html; charset=utf-8")


@group.get(
    "/api/sandbox/{sandbox_id}/ports/{port}/preview-url",
    errors=(InvalidHost, InvalidPort, NoSuchSandbox),
)
def get_preview_url(
    backend: StandaloneBackend, sandbox_id: str, port: int, request: RequestInfo
) -> PreviewUrl:
    """Tell where a port of the sandbox is reached, and with which X-Daytona-Preview-Token.

    Of port 2280, the sandbox's own API, the Ruby SDK takes scheme, host and port, and opens every
    WebSocket there. Other ports are behind ``/proxy``, and their token is good for them alone.
    """
    return backend.preview(sandbox_id, port, request)


@group.websocket("/api/socket.io/", public=True, errors=(UnsupportedProtocol,))
def follow_events(backend: StandaloneBackend, query: EventQuery) -> SocketHandler:
    """Follow the sandbox's events by Socket.IO. There are none, but the SDKs insist.

    The token comes in the first packet.
    """
    if (query.version, query.transport) != ("4", "websocket"):
        raise UnsupportedProtocol("only Engine.IO 4 over WebSocket is spoken here")
    return backend.events()

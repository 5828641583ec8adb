"""The URLs at which clients reach a sandbox, and the keys for them."""

from __future__ import annotations

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import TextResponse
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import root_url
from toolbox_fleet.backend import CanRotateSigningKey
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import ForeignPort
from toolbox_fleet.errors import InvalidHost
from toolbox_fleet.errors import InvalidPort
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import NoSigningKey
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.access import PreviewUrl
from toolbox_fleet.models.access import SignedPreviewUrl
from toolbox_fleet.models.access import SignedQuery
from toolbox_fleet.models.access import ToolboxProxyUrl
from toolbox_fleet.plane import plane_of
from toolbox_fleet.routes.abilities import able

operations = Operations()

ONE = "/api/sandbox/{sandbox_id}"


@operations.get(f"{ONE}/toolbox-proxy-url", errors=(InvalidHost, NoSuchSandbox))
def get_toolbox_proxy_url(
    backend: FleetBackend, sandbox_id: str, request: RequestInfo
) -> ToolboxProxyUrl:
    """Return the URL of the toolbox proxy, which leads to every sandbox.

    Clients up to 0.147 ask once for each target and use the response for all its sandboxes, so it
    can't be the port of one of them.
    """
    backend.sandbox(sandbox_id)
    return ToolboxProxyUrl(root_url(request) + MOUNT)


@operations.get(
    f"{ONE}/ports/{{port}}/preview-url",
    errors=(ForeignPort, InvalidHost, InvalidPort, NoCapacity, NoSuchSandbox),
)
def get_port_preview_url(
    backend: FleetBackend, sandbox_id: str, port: int, request: RequestInfo
) -> PreviewUrl:
    """Return the URL of a port of the sandbox, and the X-Daytona-Preview-Token for it."""
    sandbox = backend.sandbox(sandbox_id)
    return plane_of(backend).previews.url(sandbox.id, port, request)


@operations.get(
    f"{ONE}/ports/{{port}}/signed-preview-url",
    errors=(ForeignPort, InvalidHost, InvalidPort, NoCapacity, NoSuchSandbox, Unsupported),
)
def get_signed_port_preview_url(
    backend: FleetBackend, sandbox_id: str, port: int, query: SignedQuery, request: RequestInfo
) -> SignedPreviewUrl:
    """Return a URL of a port of the sandbox that needs no other credential until it expires."""
    sandbox = backend.sandbox(sandbox_id)
    previews = plane_of(backend).previews
    return previews.signed_url(sandbox.id, port, query.expires_in_seconds, request)


@operations.post(
    f"{ONE}/ports/{{port}}/signed-preview-url/{{token}}/expire",
    errors=(NoSuchResource, NoSuchSandbox, Unsupported),
)
def expire_signed_port_preview_url(
    backend: FleetBackend, sandbox_id: str, port: int, token: str
) -> None:
    """Make a signed preview URL void before its time."""
    plane_of(backend).previews.expire(backend.sandbox(sandbox_id).id, port, token)


@operations.get(
    f"{ONE}/signing-key", errors=(NoSigningKey, NoSuchSandbox), content_type="text/html"
)
def get_signing_key(backend: FleetBackend, sandbox_id: str) -> TextResponse:
    """Return the key that the SDK signs URLs with.

    As plain text with the control plane's content type rather than JSON: the Go SDK takes the whole
    body as the key, others check the type.
    """
    return _key(backend.signing_key(sandbox_id))


@operations.post(
    f"{ONE}/signing-key/rotate", errors=(NoSuchSandbox, Unsupported), content_type="text/html"
)
def rotate_signing_key(backend: FleetBackend, sandbox_id: str) -> TextResponse:
    """Replace the key that the SDK signs URLs with, and return the new one."""
    return _key(able(backend, CanRotateSigningKey).rotate_signing_key(sandbox_id))


def _key(key: str) -> TextResponse:
    return TextResponse(key, "text/html; charset=utf-8")

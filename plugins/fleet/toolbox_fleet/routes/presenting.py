"""Sandboxes as one client sees them: with the URL at which it reaches each."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from toolbox.request import RequestInfo
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import is_local
from toolbox_fleet.access.address import root_url
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.models.listed import ListedSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.plane import plane_of

S = TypeVar("S", Sandbox, ListedSandbox)


def present(backend: FleetBackend, sandbox: S, request: RequestInfo) -> S:
    """Return ``sandbox`` with its URL for the client of ``request``. Raises InvalidHost."""
    url = toolbox_proxy_url(backend, sandbox.id, request)
    return msgspec.structs.replace(sandbox, toolbox_proxy_url=url)


def present_all(backend: FleetBackend, sandboxes: Iterable[S], request: RequestInfo) -> list[S]:
    """Return each of ``sandboxes`` as :func:`present` does."""
    url_of = _urls(backend, request)
    return [
        msgspec.structs.replace(sandbox, toolbox_proxy_url=url_of(sandbox.id))
        for sandbox in sandboxes
    ]


def toolbox_proxy_url(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> str:
    """Return the URL at which the client of ``request`` reaches the sandbox's own API, without its
    id: the sandbox's own port, or this service's proxy. Raises InvalidHost.
    """
    return _urls(backend, request)(sandbox_id)


def _urls(backend: FleetBackend, request: RequestInfo) -> Callable[[str], str]:
    """Return the function from an id to its URL: the client is looked at once for a whole page."""
    proxied = root_url(request) + MOUNT
    if not is_local(request):
        return lambda sandbox_id: proxied
    plane = plane_of(backend)
    return lambda sandbox_id: plane.direct_url(sandbox_id) or proxied

"""Sandboxes as one client sees them: with the URL at which it reaches each."""

from __future__ import annotations

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
    return [present(backend, sandbox, request) for sandbox in sandboxes]


def toolbox_proxy_url(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> str:
    """Return the URL at which the client of ``request`` reaches the sandbox's own API, without its
    id: the sandbox's own port, or this service's proxy. Raises InvalidHost.
    """
    proxied = root_url(request) + MOUNT
    direct = plane_of(backend).direct_url(sandbox_id) if is_local(request) else None
    return direct or proxied

"""The ways of requests to a sandbox's own API, and to a port of it."""

from __future__ import annotations

from toolbox.auth import Credentials
from toolbox.auth.access import Auth
from toolbox.forwarding.route import Route
from toolbox.request import RequestInfo
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.gateway.credentials import for_sandbox
from toolbox_fleet.gateway.credentials import not_for_sandbox
from toolbox_fleet.gateway.credentials import own_cookies
from toolbox_fleet.models.addresses import Upstream

PEER = "the sandbox's service"

HIDDEN_PREFIX = "X-Toolbox-Hidden-Prefix"
"""Header that keeps ``/proxy/{port}``, which the client doesn't see, out of the links that an
application makes: of the group ``port``.
"""


def way_to_sandbox(
    mount: str, upstream: Upstream, request: RequestInfo, auth: Auth, *, admitted: bool
) -> Route:
    """Return the way to a sandbox's own API, which the client sees below ``/toolbox/<mount>``, or
    at the root if ``mount`` is empty.

    Only an ``admitted`` client gets the sandbox's token; for others the sandbox decides.
    """
    environ = request.environ
    removed = auth.credentials_in(environ) if admitted else not_for_sandbox(environ)
    removed |= Credentials(cookies=own_cookies(environ))
    # The sandbox serves the mount itself, so that redirects contain it. A prefix before the mount
    # is ours alone.
    head: str = environ.get("SCRIPT_NAME", "") if mount else ""
    if mount and upstream.at_root:
        head += f"{MOUNT}/{mount}"
    return Route(
        hosts=(upstream.host,),
        port=upstream.port,
        authority=_authority(upstream, request),
        head=head,
        prefix=head,
        removed=removed,
        added=(
            *_routing(upstream),
            *(for_sandbox(environ, upstream, removed) if admitted else ()),
        ),
        peer=PEER,
    )


def way_to_port(port: int, upstream: Upstream, request: RequestInfo, auth: Auth) -> Route:
    """Return the way to a port of a sandbox, whose paths the client sees as they are."""
    environ = request.environ
    removed = auth.credentials_in(environ) | Credentials(cookies=own_cookies(environ))
    before = f"/proxy/{port}"
    # Of the sandbox's credentials the one that opens least.
    added = for_sandbox(environ, upstream, removed, scope=str(port))
    return Route(
        hosts=(upstream.host,),
        port=upstream.port,
        authority=_authority(upstream, request),
        before=before,
        removed=removed,
        added=(*_routing(upstream), *added, (HIDDEN_PREFIX, before)),
        peer=PEER,
    )


def _routing(upstream: Upstream) -> tuple[tuple[str, str], ...]:
    return upstream.router.headers if upstream.router is not None else ()


def _authority(upstream: Upstream, request: RequestInfo) -> str:
    # A router tells the sandbox of the host that it was asked for, in the place of what we tell.
    asked: str = request.environ.get("HTTP_HOST", "") if upstream.router is not None else ""
    return asked or authority(upstream)


def authority(upstream: Upstream) -> str:
    """Return host and port as in a URL."""
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    return f"{host}:{upstream.port}"

"""Sandbox ids and addresses that become part of a URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from toolbox.auth.factory import is_loopback
from toolbox.request import RequestInfo
from toolbox_fleet.errors import InvalidHost

MOUNT = "/toolbox"
"""The path of the toolbox proxy: ``MOUNT/<sandbox id>`` is equivalent to ``/``."""

OWN_PORT = 2280
"""The port that stands for the sandbox's own API in the SDKs, whatever port it is on."""

SANDBOX_ID = r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,127}"
"""Unreserved characters only (RFC 3986, 2.3): an id is not escaped in URLs. No dots alone."""

ID_VARIABLE = "TOOLBOX_FLEET_SANDBOX"
"""The variable with the id of the sandbox that a service is in, set by who has started it."""

_FORWARDED = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def root_url(request: RequestInfo) -> str:
    """Return the URL at which the client reaches the service, with the host of its request.

    Forwarded hosts and schemes are ignored, as the service trusts no proxy. Raises InvalidHost.
    """
    host = request.headers.get("Host", "")
    if not _HOST.fullmatch(host):
        raise InvalidHost("the Host header is missing or invalid")
    scheme, root = request.environ["wsgi.url_scheme"], request.environ.get("SCRIPT_NAME", "")
    return f"{scheme}://{host}{root}"


def is_local(request: RequestInfo) -> bool:
    """Report whether the client is on this machine, as far as can be told."""
    environ = request.environ
    # A proxy on this machine connects from loopback, too.
    if any(environ.get(name) for name in _FORWARDED):
        return False
    # nginx without further settings tells nothing of the client, but speaks HTTP/1.0.
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return False
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    return is_loopback(host) and is_loopback(environ.get("REMOTE_ADDR", ""))

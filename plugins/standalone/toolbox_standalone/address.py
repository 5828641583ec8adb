"""Ids and addresses: what may become part of a URL that a client will call."""

from __future__ import annotations

import re

from toolbox.request import RequestInfo
from toolbox_standalone.errors import InvalidHost

MOUNT = "/toolbox"
"""The path of the toolbox proxy: ``MOUNT/<sandbox id>`` is what ``/`` is."""

OWN_PORT = 2280
"""By this one the SDKs mean the sandbox's own API, whatever port it is on."""

SANDBOX_ID = r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,127}"
"""An id stands in URLs as it is, so only unreserved characters (RFC 3986, 2.3); no dots alone."""

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def root_url(request: RequestInfo) -> str:
    """Where the caller reaches the service: by the same name and port it has just used.

    Forwarded hosts and schemes are not believed, as the service trusts no proxy. Raises
    InvalidHost.
    """
    host = request.headers.get("Host", "")
    if not _HOST.fullmatch(host):
        raise InvalidHost("the Host header is missing or no host and port")
    scheme, root = request.environ["wsgi.url_scheme"], request.environ.get("SCRIPT_NAME", "")
    return f"{scheme}://{host}{root}"


def toolbox_proxy_url(request: RequestInfo) -> str:
    """Where the caller reaches the toolbox proxy. Raises InvalidHost."""
    return root_url(request) + MOUNT

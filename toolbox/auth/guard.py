"""Protection from foreign web pages, where no token keeps them out: in mode ``none``, in ``init``
before the first, and with an authenticator whose credential browsers send by themselves.

A browser lets any page send requests to this machine, and a page whose name resolves to this
address (DNS rebinding) read the responses, too. Two headers give it away: ``Host`` has the name,
and ``Origin`` the page (RFC 6454). Programs other than browsers send no ``Origin``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any

from toolbox.auth.access import Auth
from toolbox.errors import Forbidden
from toolbox.errors import UnsupportedMediaType
from toolbox.request import media_type
from toolbox.settings import AuthSettings

_HARMLESS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, and whose responses no other origin may read."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]*)?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Guard:
    """Refuses requests of foreign pages, as long as ``auth`` doesn't keep them out by itself.

    Known are this machine's names, ``hosts``, which the service listens on, and those in
    ``settings``. An IP address is never a name that an attacker controls.
    """

    def __init__(self, auth: Auth, settings: AuthSettings, *hosts: str) -> None:
        self._auth = auth
        # Others on the network reach it by the machine's name.
        names = ("localhost", *hosts, socket.gethostname())
        self._names = {name.lower() for name in names}
        self._hosts = [_name(allowed) for allowed in settings.allowed_hosts]
        self._origins = [allowed.lower().rstrip("/") for allowed in settings.allowed_origins]

    @property
    def _is_needed(self) -> bool:
        authenticator = self._auth.authenticator
        return authenticator.is_ambient or authenticator.is_open

    def check(self, environ: dict[str, Any]) -> None:
        """Raise Forbidden for a request that may be a foreign page's."""
        if not self._is_needed:
            return
        host = environ.get("HTTP_HOST", "")
        if not self._is_known(host):
            raise Forbidden(f"host {host[:300]!r} is not allowed: see allowed_hosts in [auth]")
        # A handshake is a GET, and no preflight request (CORS) asks before it.
        if environ["REQUEST_METHOD"] not in _HARMLESS or "HTTP_UPGRADE" in environ:
            self.check_origin(environ)

    def check_origin(self, environ: dict[str, Any]) -> None:
        """Raise Forbidden for a request of a foreign page, whatever else keeps it out."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not self._is_allowed(origin, environ.get("HTTP_HOST", "")):
            raise Forbidden(
                f"origin {origin[:300]!r} is not allowed: see allowed_origins in [auth]"
            )

    def check_json(self, environ: dict[str, Any]) -> None:
        """Raise UnsupportedMediaType unless the content type of a body is that of JSON.

        A page may send any other type to another origin without a preflight request. curl declares
        what it posts as a form, so that is taken as JSON, too, unless it comes from a browser.
        """
        if not self._is_needed:
            return
        kind = media_type(environ.get("CONTENT_TYPE", ""))
        if not kind or _is_json(kind):
            return
        if kind == "application/x-www-form-urlencoded" and not _is_browser(environ):
            return
        raise UnsupportedMediaType("the content type must be application/json")

    def _is_known(self, host: str) -> bool:
        name = _name(host)
        if name is None:
            return False
        return (
            not host  # HTTP/1.0, which no browser speaks.
            or name in self._names
            or name.endswith(".localhost")  # RFC 6761, 6.3
            or _is_address(name)
            or any(_fits(name, pattern) for pattern in self._hosts)
        )

    def _is_allowed(self, origin: str, host: str) -> bool:
        origin = origin.lower()
        scheme, _, authority = origin.partition("://")
        port = _DEFAULT_PORTS.get(scheme)
        # The service's own pages. The scheme may differ: a proxy in front may speak TLS.
        if port is not None and authority.removesuffix(port) == host.lower().removesuffix(port):
            return True
        return any(allowed in ("*", origin) for allowed in self._origins)


def _name(host: str) -> str | None:
    """Return the name in ``Host`` or a setting that is written like it, None if it is neither."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").lower().removesuffix(".") if match else None


def _fits(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return False
    # "*.example.com" has its dot compared, so that it doesn't fit evilexample.com.
    return pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _is_browser(environ: dict[str, Any]) -> bool:
    # A page can suppress Referer, but Origin and Sec-* are the browser's alone (Fetch, 2.2.2).
    return any(f"HTTP_{name}" in environ for name in ("ORIGIN", "REFERER", "SEC_FETCH_SITE"))

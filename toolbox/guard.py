"""What keeps web pages out where no token does: in mode ``none``, and in ``init`` before the first.

A browser lets any page send requests to this machine, and with a name that its owner has resolve
to this address (DNS rebinding) read the answers as well. It says from where: ``Host`` has the name
and ``Origin`` the page (RFC 6454). Programs that are no browsers send no ``Origin``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any

from toolbox.auth import Auth
from toolbox.errors import Forbidden
from toolbox.errors import UnsupportedMediaType
from toolbox.request import media_type
from toolbox.settings import AuthSettings

_HARMLESS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, and whose answers no other origin may read."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::[0-9]*)?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Guard:
    """Refuses requests of foreign pages, as long as ``auth`` asks for no token.

    Known are this machine's names, ``host``, which the service listens on, and those in
    ``settings``. An address is never an attacker's name.
    """

    def __init__(self, auth: Auth, settings: AuthSettings, host: str) -> None:
        self._auth = auth
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        self._hosts = [_name(each) for each in settings.allowed_hosts]
        self._origins = [each.lower().rstrip("/") for each in settings.allowed_origins]

    def check(self, environ: dict[str, Any]) -> None:
        """Raises Forbidden for a request that may be a foreign page's."""
        if not self._auth.is_open:
            return
        host = environ.get("HTTP_HOST", "")
        if not self._is_known(host):
            raise Forbidden(
                f"without a token only known hosts are served, not {host[:300]!r}:"
                " see allowed_hosts in [auth]"
            )
        origin = environ.get("HTTP_ORIGIN")
        changes = environ["REQUEST_METHOD"] not in _HARMLESS or "HTTP_UPGRADE" in environ
        if origin is not None and changes and not self._is_allowed(origin, host):
            raise Forbidden(
                f"without a token pages of other origins are refused, {origin[:300]!r} is one:"
                " see allowed_origins in [auth]"
            )

    def check_json(self, environ: dict[str, Any]) -> None:
        """Raises UnsupportedMediaType unless a body is said to be JSON.

        A page may send any other type without asking. curl says of what it posts that it is a
        form, so that is JSON, too, unless a browser says so.
        """
        kind = media_type(environ.get("CONTENT_TYPE", ""))
        if not self._auth.is_open or not kind or _is_json(kind):
            return
        if kind == "application/x-www-form-urlencoded" and not _is_browser(environ):
            return
        raise UnsupportedMediaType("without a token JSON is taken as application/json only")

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
        if port is not None and authority.removesuffix(port) == host.lower().removesuffix(port):
            return True
        return any(each in ("*", origin) for each in self._origins)


def _name(host: str) -> str | None:
    """The name in ``Host``, or in a setting that is written like it; None for what is no host."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").lower().removesuffix(".") if match else None


def _fits(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return False
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
    return any(f"HTTP_{name}" in environ for name in ("ORIGIN", "REFERER", "SEC_FETCH_SITE"))

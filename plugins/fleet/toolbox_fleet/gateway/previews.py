"""Preview URLs without a path: a port or a host name for each port of a sandbox."""

from __future__ import annotations

from http.cookies import CookieError
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from toolbox.auth.factory import is_loopback
from toolbox.auth.presented import TOKEN_QUERY
from toolbox.auth.presented import bearer_token
from toolbox.auth.presented import is_upgrade
from toolbox.auth.presented import preview_token
from toolbox.auth.presented import query_value
from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.request import RequestInfo
from toolbox_fleet.access.address import OWN_PORT
from toolbox_fleet.access.address import root_url
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import InvalidPort
from toolbox_fleet.gateway.foreign_ports import ForeignPorts
from toolbox_fleet.gateway.preview_hosts import PreviewHosts
from toolbox_fleet.gateway.preview_ports import PreviewPorts
from toolbox_fleet.gateway.preview_tokens import PreviewTokens
from toolbox_fleet.gateway.preview_tokens import Signed
from toolbox_fleet.gateway.preview_tokens import SignedTokens
from toolbox_fleet.gateway.visits import Visit
from toolbox_fleet.models.access import PreviewUrl
from toolbox_fleet.models.access import SignedPreviewUrl
from toolbox_fleet.settings import FleetSettings

NOWHERE = Visit("-", 1, admitted=False)
"""A visit by a preview URL that no longer leads anywhere. No sandbox has this id."""


class GatewayPreviews:
    """See :class:`toolbox_fleet.access.previews.Previews`."""

    def __init__(self, backend: FleetBackend, context: Context, foreign: ForeignPorts) -> None:
        settings: FleetSettings = context.group_settings
        self._foreign = foreign
        self._backend = backend
        self._listeners = context.listeners
        self._loop = context.loop
        self._hosts = PreviewHosts(settings.preview_host)
        self._ports = PreviewPorts(context.listeners, settings.preview_ports)
        self._signed_ports = settings.signed_ports
        self._tokens = PreviewTokens(context.auth)
        self._signed = SignedTokens()

    def url(self, sandbox_id: str, port: int, request: RequestInfo) -> PreviewUrl:
        """Return the URL of a port for the client of ``request``, and the token for it.

        Raises InvalidPort, ForeignPort, InvalidHost, NoCapacity, NotSupported.
        """
        _check(port)
        if port != OWN_PORT:  # That stands for the sandbox's own API, whoever else listens on it.
            self._foreign.check(sandbox_id, port)
        root = urlsplit(root_url(request))
        if self._hosts:
            url = self._hosts.url(root.scheme, sandbox_id, port)
        else:
            url = _with_port(root.scheme, root.netloc, self._ports.open(sandbox_id, port))
        return PreviewUrl(
            sandbox_id=sandbox_id, url=url, token=self._tokens.token(sandbox_id, port)
        )

    def signed_url(
        self, sandbox_id: str, port: int, seconds: int, request: RequestInfo
    ) -> SignedPreviewUrl:
        """Return a URL that needs no other credential for ``seconds``. Raises as :meth:`url`."""
        self._close_expired()
        plain = self.url(sandbox_id, port, request).url
        root = urlsplit(root_url(request))
        alone = 0
        if not self._hosts and self._takes_port(port):
            alone = self._ports.open_another(sandbox_id, port)
        token = self._signed.issue(sandbox_id, port, seconds, alone)
        if self._hosts:
            url = self._hosts.url(root.scheme, token, port)
        else:
            base = _with_port(root.scheme, root.netloc, alone) if alone else plain
            url = f"{base}/{token}"
        if alone:
            self._loop.call_soon(lambda: self._loop.call_later(seconds, self._close_expired))
        return SignedPreviewUrl(sandbox_id=sandbox_id, port=port, token=token, url=url)

    def _takes_port(self, port: int) -> bool:
        # The sandbox's own API runs commands: nobody gets it by finding a port.
        if port == OWN_PORT or self._signed_ports == "never":
            return False
        return self._signed_ports == "always" or is_loopback(self._listeners.host)

    def expire(self, sandbox_id: str, port: int, token: str) -> None:
        """Make a signed URL void. Raises NoSuchResource."""
        self._close([self._signed.expire(token, sandbox_id, port)])

    def forget(self, sandbox_id: str) -> None:
        """Make all URLs of a sandbox void."""
        self._signed.forget(sandbox_id)
        self._ports.forget(sandbox_id)

    def _close_expired(self) -> None:
        self._close(self._signed.take_expired())

    def _close(self, expired: list[Signed]) -> None:
        for signed in expired:
            self._ports.close(signed.listener)

    # Visits

    def visit(self, environ: dict[str, Any], signed: str) -> Visit | None:
        """Return the visit that a request is, None if it came by no preview URL. ``signed`` is the
        token that its path begins with.
        """
        listener = int(environ.get("SERVER_PORT") or 0)
        if self._ports.is_ours(listener):
            target = self._ports.target(listener)
            alone = self._signed.by_listener(listener)
            if target is not None and alone is not None:
                return Visit(*target, admitted=True)
        elif (named := self._hosts.target(environ.get("HTTP_HOST", ""))) is not None:
            target = named
            if (found := self._signed.find(named[0])) is not None and found.port == named[1]:
                return Visit(found.sandbox_id, found.port, admitted=True)
        else:
            return None
        return NOWHERE if target is None else self._visit(target, environ, signed)

    def _visit(self, target: tuple[str, int], environ: dict[str, Any], signed: str) -> Visit:
        found = self._signed.find(signed) if signed else None
        if found is not None and (found.sandbox_id, found.port) == target:
            return Visit(*target, admitted=True, cookie=self._cookie(target, signed))
        if self._shows_token(environ, target):
            return Visit(*target, admitted=True)
        token = query_value(environ, TOKEN_QUERY)
        if token is not None and self._opens(token, target):
            return Visit(*target, admitted=True, cookie=self._cookie(target, token))
        return Visit(*target, admitted=self._has_cookie(environ, target) or self._public(target))

    def _shows_token(self, environ: dict[str, Any], target: tuple[str, int]) -> bool:
        bearer = bearer_token(environ.get("HTTP_AUTHORIZATION", "")) or b""
        shown = (preview_token(environ) or b"", bearer)
        return any(self._opens(token.decode("latin-1"), target) for token in shown if token)

    def _opens(self, token: str, target: tuple[str, int]) -> bool:
        found = self._signed.find(token)
        if found is not None:
            return (found.sandbox_id, found.port) == target
        return self._tokens.is_valid(token, *target)

    def _public(self, target: tuple[str, int]) -> bool:
        if target[1] == OWN_PORT:  # It runs commands, so it is for nobody without a token.
            return False
        try:
            return self._backend.sandbox(target[0]).public
        except ToolboxError:
            return False

    # Cookies

    def _cookie(self, target: tuple[str, int], token: str) -> str:
        if target[1] == OWN_PORT:
            return ""  # Any page could use the API then, as browsers send cookies by themselves.
        return f"{_cookie_name(target)}={token}; Path=/; HttpOnly; SameSite=Lax"

    def _has_cookie(self, environ: dict[str, Any], target: tuple[str, int]) -> bool:
        if target[1] == OWN_PORT or _is_foreign(environ):
            return False
        try:
            cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        except CookieError:
            return False
        names = (_cookie_name(target), TOKEN_QUERY)
        return any(name in cookies and self._opens(cookies[name].value, target) for name in names)


def _cookie_name(target: tuple[str, int]) -> str:
    # Browsers don't tell ports of a host apart (RFC 6265, 8.5), so the name must.
    return f"{TOKEN_QUERY}-{target[1]}-{target[0]}"


def _is_foreign(environ: dict[str, Any]) -> bool:
    """Report whether a page of another origin sent the request, such as another sandbox's."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin.partition("://")[2].lower() != environ["HTTP_HOST"].lower():
        return True
    # Without an Origin a page can read nothing, but a handshake has one in every browser.
    if is_upgrade(environ) and origin is None and "HTTP_SEC_FETCH_SITE" in environ:
        return True
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    return site not in ("same-origin", "none") and environ.get("HTTP_SEC_FETCH_MODE") != "navigate"


def _check(port: int) -> None:
    if not 0 < port < 65536:
        raise InvalidPort("port must be a number from 1 to 65535")


def _with_port(scheme: str, netloc: str, port: int) -> str:
    # The client's name of this host; an IPv6 address keeps its brackets.
    host = netloc.rpartition(":")[0] if not netloc.endswith("]") and ":" in netloc else netloc
    return f"{scheme}://{host}:{port}"

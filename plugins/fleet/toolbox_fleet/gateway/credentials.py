"""Credentials at the border: the control plane's stay here, the sandbox's are added."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from toolbox.auth import Credentials
from toolbox.auth.access import TICKET_QUERY
from toolbox.auth.access import Auth
from toolbox.auth.presented import PREVIEW_HEADER
from toolbox.auth.presented import TOKEN_QUERY
from toolbox.auth.presented import bearer_token
from toolbox.auth.presented import credentials_in
from toolbox.auth.presented import is_upgrade
from toolbox.auth.presented import preview_token
from toolbox.auth.presented import query_value
from toolbox.auth.signing import SIGNATURE_QUERY
from toolbox.auth.tokens import PREVIEW_TOKEN
from toolbox.auth.tokens import derive_preview_token
from toolbox_fleet.gateway.visits import visit_of
from toolbox_fleet.models.addresses import Upstream

EVERYTHING = "*"
"""The scope of a preview token that opens a sandbox's whole API."""


def is_for_sandbox(auth: Auth, environ: dict[str, Any]) -> bool:
    """Report whether a request without a credential for us may go on: it is a visitor of a preview
    who was let in, or has something that only the sandbox can judge.
    """
    visit = visit_of(environ)
    if visit is not None and (visit.admitted or not visit.is_api):
        return visit.admitted
    # Our key at a place where we don't take it must not get to a sandbox.
    return _has_foreign(environ) and not _has_secret(auth, environ)


def _has_foreign(environ: dict[str, Any]) -> bool:
    """Report whether there is a credential of a kind that sandboxes issue."""
    bearer = bearer_token(environ.get("HTTP_AUTHORIZATION", "")) or b""
    shown = (preview_token(environ) or b"", bearer)
    if any(PREVIEW_TOKEN.fullmatch(token.decode("latin-1")) for token in shown):
        return True
    # In it clients of E2B send the token that they were given for the sandbox.
    if "HTTP_X_ACCESS_TOKEN" in environ:
        return True
    if "HTTP_AUTHORIZATION" not in environ and query_value(environ, SIGNATURE_QUERY) is not None:
        return True
    return is_upgrade(environ) and query_value(environ, TICKET_QUERY) is not None


def _has_secret(auth: Auth, environ: dict[str, Any]) -> bool:
    """Report whether URL or headers contain a secret of this service anywhere."""
    texts = [unquote(str(environ.get("RAW_URI", ""))), unquote(environ.get("QUERY_STRING", ""))]
    # A subprotocol or a cookie may be percent-encoded, too.
    texts += [unquote(value) for name, value in environ.items() if name.startswith("HTTP_")]
    texts += [value for name, value in environ.items() if name.startswith("HTTP_")]
    return any(secret in text for secret in auth.secrets() if secret for text in texts)


def not_for_sandbox(environ: dict[str, Any]) -> Credentials:
    """Return what a request that the sandbox judges carries for us all the same."""
    found = credentials_in(environ)
    return Credentials(query=frozenset({TOKEN_QUERY}), subprotocols=found.subprotocols)


def for_sandbox(
    environ: dict[str, Any], upstream: Upstream, removed: Credentials, scope: str = EVERYTHING
) -> tuple[tuple[str, str], ...]:
    """Return the headers by which we authenticate to a sandbox's service."""
    token = upstream.token
    if not token:
        return ()
    taken = "HTTP_AUTHORIZATION" in environ and "authorization" not in removed.headers
    if scope == EVERYTHING and not taken and upstream.router is None:
        return (("Authorization", f"Bearer {token}"),)
    # The header is the application's then, or one port is enough.
    return ((PREVIEW_HEADER, derive_preview_token(token.encode(), scope)),)


def own_cookies(environ: dict[str, Any]) -> frozenset[str]:
    """Return the names of cookies with preview tokens. A browser sends those of all previews on a
    host to each of them, whatever the port (RFC 6265, 8.5).
    """
    names = re.findall(rf"(?:^|[;,\s])({TOKEN_QUERY}[^=;,\s]*)=", environ.get("HTTP_COOKIE", ""))
    return frozenset(names)

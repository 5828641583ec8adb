"""Authentication: who sent a request, and which credentials it carries.

An :class:`Authenticator` decides both. The built-in ones are the bearer token
(:mod:`toolbox.auth.tokens`) and none at all (:mod:`toolbox.auth.anyone`); with ``[auth] mode =
"plugin"`` it is the one that a plugin offers (:func:`toolbox.hookspecs.toolbox_authenticator`).
:class:`toolbox.auth.access.Auth` adds what every authenticator gets: tickets and signed URLs.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import msgspec

from toolbox.errors import Unauthorized

Environ = Mapping[str, Any]
"""A request's WSGI environment (PEP 3333)."""


class Principal(msgspec.Struct, frozen=True):
    """The sender of a request that was let in."""

    method: str
    """The means of authentication, ``auth`` in the audit log: ``token``, ``ticket``, ..."""
    user: str = ""
    """The user's name, if the authenticator knows users; ``user`` in the audit log."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """The names of what a request carries for the service, so that a proxy can remove it."""

    headers: frozenset[str] = frozenset()
    """Header names in lower case."""
    cookies: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()
    """Query parameters, decoded."""
    subprotocols: frozenset[str] = frozenset()
    """WebSocket subprotocols, whole, as they were offered."""

    def __or__(self, other: Credentials) -> Credentials:
        return Credentials(
            headers=self.headers | other.headers,
            cookies=self.cookies | other.cookies,
            query=self.query | other.query,
            subprotocols=self.subprotocols | other.subprotocols,
        )


class Authenticator(ABC):
    """Decides who sent a request. One instance serves all threads of a worker process.

    Only the first four members must be implemented. The defaults of the others are the safe ones.
    """

    schemes: Mapping[str, Mapping[str, Any]]
    """The OpenAPI security schemes (OpenAPI 3.1, 4.8.27) by name; any one of them suffices."""

    @abstractmethod
    def authenticate(self, environ: Environ) -> Principal | None:
        """Return who sent the request, or None if it carries no credential of this kind.

        Raises Unauthorized for a credential that is not valid.
        """

    @abstractmethod
    def refusal(self) -> Unauthorized:
        """Return the error for a request without a credential.

        Its header ``WWW-Authenticate`` names the scheme (RFC 9110, 11.6.1). The page asks for a
        token if that is ``Bearer``, and otherwise shows the message: so that should state what the
        user has to do.
        """

    @abstractmethod
    def credentials_in(self, environ: Environ) -> Credentials:
        """Return the names of what the request carries for the service, valid or not.

        None of it reaches an application behind ``/proxy``, and no subprotocol of it is echoed.
        """

    is_ambient = True
    """True if browsers send the credential by themselves, as they do with cookies, HTTP Basic and
    client certificates. Then requests of foreign pages are refused
    (:class:`toolbox.auth.guard.Guard`).
    """

    verifies_signatures = True
    """False to accept every signed URL."""

    @property
    def is_open(self) -> bool:
        """True while anyone who can reach the service has access to something."""
        return False

    @property
    def epoch(self) -> bytes:
        """A value that changes when tickets issued so far must no longer be accepted."""
        return b""

    def recognizes(self, head: bytes | bytearray) -> bool:
        """Report whether the head of a request seems to carry a valid credential.

        Such a request is served first, and authenticated then. It must be quick: it runs on the
        accept loop.
        """
        return False

    def authenticate_token(self, token: str) -> Principal:
        """Return who presents ``token``, which came in a message rather than with a request.

        Raises Unauthorized.
        """
        raise self.refusal()

    def initialize(self, authorization: str, token: str) -> None:
        """Set or replace the token: ``POST /init``. By default there is none to set.

        ``authorization`` is the header of that name; an empty ``token`` changes nothing. Raises
        Unauthorized, or BadRequest for a token that no header could carry.
        """
        # Not an error: control planes send it in every mode.
        return

    def preview_token(self, port: int | None) -> str:
        """Return what is accepted in ``X-Daytona-Preview-Token`` for ``/proxy/{port}``, or for
        everything if ``port`` is None. Empty if there is no such token.
        """
        return ""

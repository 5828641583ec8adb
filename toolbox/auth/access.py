"""All ways into the service: the authenticator's credentials, tickets and signed URLs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from toolbox.auth import Authenticator
from toolbox.auth import Credentials
from toolbox.auth import Environ
from toolbox.auth import Principal
from toolbox.auth.presented import is_upgrade
from toolbox.auth.presented import query_value
from toolbox.auth.secret_store import SecretStore
from toolbox.auth.secret_store import check_token
from toolbox.auth.signing import SignatureScheme
from toolbox.auth.tickets import Tickets
from toolbox.errors import Unauthorized
from toolbox.http.decoding import only

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

Delegated = Callable[["Auth", dict[str, Any]], bool]
"""Reports whether a request without a valid credential is for another server to judge."""

log = logging.getLogger("toolbox")

TICKET_QUERY = "TOOLBOX_TICKET"
"""Query parameter with a one-time ticket for a WebSocket, which needs no other credential then."""

_TICKET = frozenset({TICKET_QUERY})


class Auth:
    """The authenticator in use, at first the ``built_in`` one, and what is the same for all."""

    def __init__(self, built_in: Authenticator, store: SecretStore) -> None:
        self.authenticator = built_in
        self.store = store
        self._built_in = built_in
        self._tickets = Tickets()

    def authenticate(self, environ: Environ, token_headers: tuple[str, ...] = ()) -> Principal:
        """Return who sent a request, which may have the token in one of ``token_headers``, too.

        Raises Unauthorized.
        """
        # First: clients that have such a header use Authorization for something else.
        for name in token_headers:
            token = environ.get("HTTP_" + name.upper().replace("-", "_"))
            if token is not None:
                return self.authenticator.authenticate_token(token)
        principal = self.authenticator.authenticate(environ)
        if principal is not None:
            return principal
        # Only for a handshake: one that was sent without Upgrade by mistake uses no ticket up.
        ticket = query_value(environ, TICKET_QUERY) if is_upgrade(environ) else None
        if ticket is None:
            raise self.authenticator.refusal()
        # With the token of now: one that was issued for a replaced token is void.
        user = self._tickets.redeem(ticket, self.authenticator.epoch)
        if user is None:
            raise Unauthorized("ticket is unknown, expired or already used")
        return Principal("ticket", user)

    def recognizes(self, head: bytes | bytearray) -> bool:
        """Report whether the head of a request seems to carry a valid credential."""
        try:
            return self.authenticator.recognizes(head)
        except Exception as error:  # Plugin code on the accept loop, which must go on.
            # Neither message nor traceback: they may hold the head, which has the credential.
            log.error("the authenticator failed on a request's head: %s", type(error).__name__)
            return False

    def authenticate_signed(
        self, scheme: SignatureScheme, method: str, query: MultiDict[str, str]
    ) -> Principal:
        """Return who sent a request whose URL has a signature for ``method``.

        Raises Unauthorized, or BadRequest if a part of the signature is there twice.
        """
        # Of two paths one could be checked and the other used.
        for name in scheme.parameters:
            only("query parameter", name, query.getlist(name))
        if self.authenticator.verifies_signatures:
            scheme.check(self.store, method, query)
        return Principal("signature")

    def initialize(self, authorization: str, token: str, signing_key: str = "") -> None:
        """Set or replace the token, and with it the key of signed URLs, unless that is empty.

        Raises as :meth:`toolbox.auth.Authenticator.initialize`, and BadRequest for such a key.
        """
        if signing_key:
            # With an empty token it is only checked who asks: a refused request changes nothing.
            self.authenticator.initialize(authorization, "")
            check_token(signing_key, "signing key")
        self.authenticator.initialize(authorization, token)
        # Others than ours may let everybody do this, as it changes nothing of theirs.
        is_ours = self.authenticator is self._built_in and self.authenticator.verifies_signatures
        if signing_key and token and is_ours:
            self.store.set_signing_key(signing_key)

    def credentials_in(self, environ: Environ) -> Credentials:
        """Return the names of all that a request carries for the service."""
        found = self.authenticator.credentials_in(environ) | Credentials(query=_TICKET)
        # A plugin that also accepts the token must not have to remember where it may stand.
        return found | self._built_in.credentials_in(environ)

    def issue_ticket(self, user: str = "") -> str:
        """Return a ticket for one WebSocket of ``user``."""
        return self._tickets.issue(user, self.authenticator.epoch)

    def secrets(self) -> list[str]:
        """Return what must not be written to a log, as far as it exists."""
        store = self.store
        return [store.token.decode(), self.authenticator.preview_token(None), store.signing_key]

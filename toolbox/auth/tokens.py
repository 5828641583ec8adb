"""Modes ``token`` and ``init``: a bearer token, compared in constant time.

A second one, the caller's, is accepted by its digest: a control plane sends it to all its
sandboxes, and none of them has it in its settings.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading

from toolbox.auth import Authenticator
from toolbox.auth import Credentials
from toolbox.auth import Environ
from toolbox.auth import Principal
from toolbox.auth.presented import SCHEMES
from toolbox.auth.presented import bearer_token
from toolbox.auth.presented import credentials_in
from toolbox.auth.presented import missing_token
from toolbox.auth.presented import presented_token
from toolbox.auth.presented import preview_token
from toolbox.auth.secret_store import SecretStore
from toolbox.errors import Forbidden
from toolbox.errors import Unauthorized

# In the raw head: the accept loop can't afford to parse it.
_BEARER_LINE = re.compile(rb"\r\nauthorization:[ \t]*bearer[ ]+([^ \r\n]+)", re.IGNORECASE)

_PREVIEW = "preview_"
_PREVIEW_BYTES = _PREVIEW.encode()

PREVIEW_TOKEN = re.compile(_PREVIEW + r"[\w-]{43}", re.ASCII)
"""A preview token of any port. To find out of which one would take a digest for each port."""

_PROXIED = re.compile(r"/(?:proxy|x/absproxy)/([0-9]{1,5})/")


def derive_preview_token(token: bytes, scope: str) -> str:
    """Return the preview token for ``scope``: a port, or ``*`` for everything."""
    # Made of the token, it expires with it, and nothing needs to be stored.
    digest = hmac.new(token, f"preview:{scope}".encode(), hashlib.sha256).digest()
    return _PREVIEW + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class TokenAuthenticator(Authenticator):
    """Accepts the token of ``store``, what is derived from it (preview tokens), and the caller's.

    As long as ``store`` has no token, ``POST /init`` sets it, and nothing else is accepted.
    """

    schemes = SCHEMES

    # A page must be given the token to send it.
    is_ambient = False

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._replacing = threading.Lock()

    @property
    def is_open(self) -> bool:
        return not self._store.token

    @property
    def epoch(self) -> bytes:
        return self._store.token + b" " + self._store.caller_digest

    def authenticate(self, environ: Environ) -> Principal | None:
        # The preview token first: beside it Authorization may be meant for the application.
        preview = preview_token(environ)
        path = environ.get("PATH_INFO", "")
        if preview is not None and self._is_preview(preview, path):
            return Principal("preview")
        presented = presented_token(environ)
        return None if presented is None else self._authenticate(presented, path)

    def authenticate_token(self, token: str) -> Principal:
        if not token:
            raise self.refusal()
        return self._authenticate(token.strip(" ").encode(), "")

    def _authenticate(self, presented: bytes, path: str) -> Principal:
        if self._is_preview(presented, path):
            return Principal("preview")
        return Principal(self._checked(presented))

    def _checked(self, presented: bytes) -> str:
        method = self._method_of(presented)
        if not method:
            raise Unauthorized("invalid bearer token")
        return method

    def _method_of(self, presented: bytes) -> str:
        """Return ``token`` for the service's own, ``caller`` for the caller's, or else nothing."""
        token = self._store.token
        # Digests are of equal length, so not even the token's length can be timed.
        shown = hashlib.sha256(presented).digest()
        if token and hmac.compare_digest(shown, hashlib.sha256(token).digest()):
            return "token"
        # Read only now: each look into the shared memory takes a microsecond.
        digest = self._store.caller_digest
        return "caller" if digest and hmac.compare_digest(shown, digest) else ""

    def refusal(self) -> Unauthorized:
        return missing_token()

    def credentials_in(self, environ: Environ) -> Credentials:
        header = environ.get("HTTP_AUTHORIZATION", "")
        return credentials_in(environ, with_authorization=self._is_own(header))

    def _is_own(self, authorization: str) -> bool:
        """Report whether the header is for the service. Clients send a token of ours beside a
        preview token, or a preview token as the bearer's; any other header is the application's.
        """
        presented = bearer_token(authorization)
        if presented is None:
            return False
        if self._store.token and PREVIEW_TOKEN.fullmatch(presented.decode("latin-1")):
            return True
        return bool(self._method_of(presented))

    def recognizes(self, head: bytes | bytearray) -> bool:
        shown = _BEARER_LINE.search(head)
        return shown is not None and bool(self._method_of(shown[1]))

    def initialize(self, authorization: str, token: str) -> None:
        with self._replacing:  # Of two first requests at the same time only one is the first.
            if not self.is_open:
                presented = bearer_token(authorization)
                if presented is None:
                    raise Unauthorized("replacing the token requires the current token")
                # The caller's is valid for more than this service, whose own token it isn't.
                if self._checked(presented) != "token":
                    raise Forbidden("replacing the token requires the service's own token")
            if token:
                self._store.set_token(token)

    def preview_token(self, port: int | None) -> str:
        token = self._store.token
        return derive_preview_token(token, str(port or "*")) if token else ""

    def _is_preview(self, presented: bytes, path: str) -> bool:
        if not presented.startswith(_PREVIEW_BYTES) or not self._store.token:
            return False
        # Only the ports that count here: one digest each.
        proxied = _PROXIED.match(path)
        ports = [None, int(proxied[1])] if proxied else [None]
        return any(
            hmac.compare_digest(presented, self.preview_token(port).encode()) for port in ports
        )

"""Who may call: one bearer token, compared in constant time.

The token lives in memory shared with the worker processes, so that one rotated by ``POST /init``
holds when a worker is replaced. It is never logged, never an argument of a process and, once read,
no longer in the environment that children inherit.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import mmap
import re
import secrets
import threading
from collections.abc import Mapping
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import unquote_to_bytes

from toolbox.decoding import only
from toolbox.errors import BadRequest
from toolbox.errors import Unauthorized
from toolbox.secretfiles import SecretFiles
from toolbox.secretfiles import absolute
from toolbox.secretfiles import read_secret
from toolbox.settings import AuthSettings
from toolbox.settings import SettingsError
from toolbox.shared import SharedText
from toolbox.signing import KEY_VARIABLE
from toolbox.signing import check_signature
from toolbox.subprotocols import TOKEN_SUBPROTOCOL
from toolbox.subprotocols import offered_subprotocols
from toolbox.tickets import Tickets
from toolbox.values import Problems

TOKEN_VARIABLE = "TOOLBOX_TOKEN"
TOKEN_QUERY = "DAYTONA_SANDBOX_AUTH_KEY"
"""Query parameter with the token for WebSocket clients that can't set headers (browser SDK)."""
TICKET_QUERY = "TOOLBOX_TICKET"
"""Query parameter with a one-time ticket for a WebSocket, which needs no token then."""

_MAX = mmap.PAGESIZE - 2

_SHOWN = re.compile(rb"\r\nauthorization:[ \t]*bearer[ ]+([^ \r\n]+)", re.IGNORECASE)

_PREVIEW = "preview_"
_OWN_PREVIEW = re.compile(_PREVIEW.encode() + rb"[\w-]{43}")
"""What is made of a digest for any port: which one it is for would take a digest for each."""
_PROXIED = re.compile(r"/(?:proxy|x/absproxy)/([0-9]{1,5})/")


class Auth:
    """Checks tokens and signed URLs.

    ``token`` is the one in force at the start, None for none yet. Without a ``signing_key`` no
    signature is right.
    """

    def __init__(self, mode: str, token: str | None = None, signing_key: str = "") -> None:
        self.mode = mode
        self.made = ""
        """The token, if it was made up at the start; what has replaced it since is not told."""
        self.tickets = Tickets()
        self.files = SecretFiles()
        self._shared_key = SharedText(_MAX)
        self._shared_key.set(signing_key)
        self._shared_token = SharedText(_MAX)
        self._replacing = threading.Lock()
        if token:
            self._set(token)

    def _set(self, token: str) -> None:
        self._shared_token.set(token)

    @property
    def _token(self) -> bytes:
        return self._shared_token.value

    @property
    def signing_key(self) -> str:
        """The key of signed URLs, empty for none."""
        return self._shared_key.value.decode()

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches the service may do something without a token."""
        return self.mode == "none" or not self._token

    def secrets(self) -> list[str]:
        """The token in force, what is made of it, and the signing key, as far as there are any."""
        return [self._token.decode(), self.preview_token(None), self.signing_key]

    def check(self, environ: dict[str, Any]) -> str:
        """By what the request may be served: ``none``, ``token``, ``preview`` or ``ticket``.

        Raises Unauthorized if it may not.
        """
        if self.mode == "none":
            return "none"
        # A preview's first: beside it Authorization may be meant for what is behind the port.
        preview = environ.get("HTTP_X_DAYTONA_PREVIEW_TOKEN")
        if preview is not None and self._is_preview(preview.encode("latin-1"), environ):
            return "preview"
        presented = _presented(environ)
        if presented is not None:
            if self._is_preview(presented, environ):
                return "preview"
            self._compare(presented)
            return "token"
        ticket = _query(environ, TICKET_QUERY) if _is_upgrade(environ) else None
        if ticket is None:
            raise Unauthorized("a bearer token is needed")
        if not self.tickets.redeem(ticket, self._token):
            raise Unauthorized("the ticket was used, is too old or was never issued")
        return "ticket"

    def recognizes(self, head: bytes | bytearray) -> bool:
        """Whether the head of a request shows the token, as far as can be seen without reading it
        properly: who is recognized is served first, and checked then.
        """
        if self.mode == "none":
            return True
        shown = _SHOWN.search(head)
        return shown is not None and bool(self._token) and _same(shown[1], self._token)

    def issue_ticket(self) -> str:
        """A ticket for one WebSocket, good as long as the token in force."""
        return self.tickets.issue(self._token)

    def check_signature(self, group: str, method: str, query: Mapping[str, str]) -> None:
        """Raises Unauthorized unless ``query`` is signed, for ``method`` and ``group``."""
        if self.mode != "none":
            check_signature(self.signing_key, group, method, query)

    def preview_token(self, port: int | None) -> str:
        """What is good instead of the token for what is behind ``/proxy/{port}``, or for
        everything if ``port`` is None. Empty if no token is needed.

        It ends with the token it is made of.
        """
        if not self._token:
            return ""
        digest = hmac.new(self._token, f"preview:{port or '*'}".encode(), hashlib.sha256).digest()
        return _PREVIEW + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def is_own(self, authorization: str) -> bool:
        """Whether the header ``Authorization`` has a token of this service's, of any kind, so that
        nobody else may see it.
        """
        presented = _bearer(authorization)
        if presented is None or not self._token:
            return False
        return _same(presented, self._token) or _OWN_PREVIEW.fullmatch(presented) is not None

    def _is_preview(self, presented: bytes, environ: dict[str, Any]) -> bool:
        if not self._token or not presented.startswith(_PREVIEW.encode()):
            return False
        proxied = _PROXIED.match(environ.get("PATH_INFO", ""))
        ports = [None, int(proxied[1])] if proxied else [None]
        return any(_same(presented, self.preview_token(port).encode()) for port in ports)

    def _compare(self, presented: bytes) -> None:
        token = self._token
        if not token or not _same(presented, token):
            raise Unauthorized("the bearer token is not right")

    def renew(self) -> list[str]:
        """Read the files of token and signing key again; which of them are others now.

        Open WebSockets stay. Raises SettingsError, and then nothing is changed.
        """
        token = _usable_token(read_secret("token_file", self.files.token))
        key = _usable_key(read_secret("signing_key_file", self.files.signing_key))
        pairs = {"token": (token, self._shared_token), "signing key": (key, self._shared_key)}
        changed = [name for name, (now, old) in pairs.items() if now and now.encode() != old.value]
        for name in changed:
            now, old = pairs[name]
            old.set(now)
        return changed

    def initialize(self, authorization: str, token: str) -> None:
        """Set the token for the first time (mode ``init``), or replace it: ``POST /init``.

        Replacing needs the one in force in ``authorization``. An empty ``token`` changes nothing.
        Raises Unauthorized, or BadRequest for a token that no header could carry.
        """
        if self.mode == "none":
            return
        with self._replacing:  # Of two that come first at once, only one is the first.
            if not self.is_open:
                presented = _bearer(authorization)
                if presented is None:
                    raise Unauthorized("the token in force is needed to replace it")
                self._compare(presented)
            if token:
                _check_token(token)
                self._set(token)
                self.tickets.void()


def _same(presented: bytes, right: bytes) -> bool:
    # Digests are of equal length, so not even the token's length can be timed.
    return hmac.compare_digest(hashlib.sha256(presented).digest(), hashlib.sha256(right).digest())


def _presented(environ: dict[str, Any]) -> bytes | None:
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        return _bearer(header)
    if not _is_upgrade(environ):
        return None
    for offered in offered_subprotocols(environ):
        if offered.startswith(TOKEN_SUBPROTOCOL):
            return unquote_to_bytes(offered.removeprefix(TOKEN_SUBPROTOCOL))
    token = _query(environ, TOKEN_QUERY)
    return token.encode() if token is not None else None


def _is_upgrade(environ: dict[str, Any]) -> bool:
    return str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket"


def _query(environ: dict[str, Any], name: str) -> str | None:
    values = parse_qs(environ.get("QUERY_STRING", "")).get(name, [])
    return only("query parameter", name, values)


def _bearer(header: str) -> bytes | None:
    """RFC 6750, 2.1; the scheme is case-insensitive (RFC 9110, 11.1)."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip(" "):
        return None
    return token.strip(" ").encode("latin-1")


def _check_token(token: str) -> None:
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > _MAX:
        raise BadRequest(f"a token is 1 to {_MAX} printable ASCII characters without blanks")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_auth(
    settings: AuthSettings, host: str, environ: MutableMapping[str, str]
) -> tuple[Auth, str | None]:
    """The auth for a service on ``host``, and the token that was made up for it, if one was.

    Takes the token and the signing key out of ``environ``. Raises SettingsError if a token is
    needed and there is none, or if one of them can't be read or used.
    """
    token, key, files = _secrets(settings, environ)
    if settings.mode == "none":
        return Auth("none"), None
    if token:
        auth = Auth(settings.mode, token, key)
        auth.files = files
        return auth, None
    if not is_loopback(host):
        raise SettingsError(
            f"{host} can be reached from other machines, so a token is needed: set {TOKEN_VARIABLE}"
            ' or auth.token_file, or write auth.mode = "none"'
        )
    made = None if settings.mode == "init" else secrets.token_urlsafe(32)
    auth = Auth(settings.mode, made, key)
    auth.files = files
    auth.made = made or ""
    return auth, made


def _secrets(
    settings: AuthSettings, environ: MutableMapping[str, str]
) -> tuple[str, str, SecretFiles]:
    """Token and signing key, empty for none, and the files to read again."""
    token, key = (environ.pop(name, "").strip() for name in (TOKEN_VARIABLE, KEY_VARIABLE))
    files = SecretFiles(
        token="" if token else absolute(settings.token_file),
        signing_key="" if key else absolute(settings.signing_key_file),
    )
    with Problems() as problems:
        with problems.noted():
            token = _usable_token(token or read_secret("token_file", settings.token_file))
        with problems.noted():
            key = _usable_key(key or read_secret("signing_key_file", settings.signing_key_file))
    return token, key, files


def _usable_token(token: str) -> str:
    try:
        if token:
            _check_token(token)
    except BadRequest as error:
        raise SettingsError(error.message) from None
    return token


def _usable_key(key: str) -> str:
    if len(key.encode()) > _MAX:
        raise SettingsError(f"a signing key is at most {_MAX} bytes")
    return key

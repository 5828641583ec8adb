"""An authenticator: HTTP Basic (RFC 7617), or the same in a cookie."""

from __future__ import annotations

import base64
import binascii
import hmac
from http.cookies import SimpleCookie

import msgspec

from toolbox import hookimpl
from toolbox.auth import Authenticator
from toolbox.auth import Credentials
from toolbox.auth import Environ
from toolbox.auth import Principal
from toolbox.errors import Unauthorized
from toolbox.settings import Values

COOKIE = "basic-session"
CHALLENGE = {"WWW-Authenticate": 'Basic realm="toolbox", charset="UTF-8"'}


class BasicSettings(msgspec.Struct, frozen=True):
    """The table ``[basic]``: passwords by user."""

    users: dict[str, str] = {}


class BasicAuthenticator(Authenticator):
    """Knows the users by name and password."""

    schemes = {
        "basic": {"type": "http", "scheme": "basic"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }

    def __init__(self, users: dict[str, str]) -> None:
        self._users = users

    def authenticate(self, environ: Environ) -> Principal | None:
        encoded = _encoded(environ)
        if encoded is None:
            return None
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Unauthorized("malformed credentials", CHALLENGE) from None
        if not hmac.compare_digest(self._users.get(user, "").encode(), password.encode()):
            raise Unauthorized("wrong user or password", CHALLENGE)
        return Principal("basic", user)

    def refusal(self) -> Unauthorized:
        return Unauthorized("sign in with your user name and password", CHALLENGE)

    def credentials_in(self, environ: Environ) -> Credentials:
        basic = environ.get("HTTP_AUTHORIZATION", "").lower().startswith("basic ")
        return Credentials(
            headers=frozenset({"authorization"} if basic else ()), cookies=frozenset({COOKIE})
        )


def _encoded(environ: Environ) -> str | None:
    scheme, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "basic":
        return str(encoded.strip())
    cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    return cookie.value if cookie else None


@hookimpl
def toolbox_authenticator(values: Values) -> Authenticator:
    """Offer it."""
    settings = values.section(("basic",), BasicSettings)
    if not settings.users:
        raise ValueError("no users are configured")
    return BasicAuthenticator(settings.users)

"""An authenticator with a key in a header, whose own mistakes the core has to survive."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.auth import Authenticator
from toolbox.auth import Credentials
from toolbox.auth import Environ
from toolbox.auth import Principal
from toolbox.errors import Unauthorized


class ClumsyAuthenticator(Authenticator):
    """Lets in who has the key."""

    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Clumsy-Key"}}

    def authenticate(self, environ: Environ) -> Principal | None:
        key = environ.get("HTTP_X_CLUMSY_KEY")
        if key == "bug":
            raise ZeroDivisionError("a bug")
        return Principal("key", "ada") if key == "swordfish" else None

    def refusal(self) -> Unauthorized:
        return Unauthorized("no key", {"WWW-Authenticate": "Key"})

    def credentials_in(self, environ: Environ) -> Credentials:
        return Credentials(headers=frozenset({"X-Clumsy-Key"}))

    def recognizes(self, head: bytes | bytearray) -> bool:
        raise ValueError(f"the secret head is {bytes(head)!r}")


@hookimpl
def toolbox_authenticator() -> Authenticator:
    """Offer it."""
    return ClumsyAuthenticator()

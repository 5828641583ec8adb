"""Mode ``none``: everyone is let in."""

from __future__ import annotations

from toolbox.auth import Authenticator
from toolbox.auth import Credentials
from toolbox.auth import Environ
from toolbox.auth import Principal
from toolbox.auth.presented import SCHEMES
from toolbox.auth.presented import credentials_in
from toolbox.auth.presented import missing_token
from toolbox.errors import Unauthorized


class AnyoneAuthenticator(Authenticator):
    """Accepts every request. Only the guard keeps something out: foreign pages."""

    # The API's description is the same in every mode: clients may always send a token.
    schemes = SCHEMES
    verifies_signatures = False

    def authenticate(self, environ: Environ) -> Principal:
        return Principal("none")

    def authenticate_token(self, token: str) -> Principal:
        return Principal("none")

    def refusal(self) -> Unauthorized:
        return missing_token()

    def credentials_in(self, environ: Environ) -> Credentials:
        # ``Authorization`` is the application's: the service has no token that it could contain.
        return credentials_in(environ)

    @property
    def is_open(self) -> bool:
        return True

    def recognizes(self, head: bytes | bytearray) -> bool:
        return True

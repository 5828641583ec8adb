"""The secrets of the service, in memory that the master and its workers share.

So a token rotated by ``POST /init`` stays in force when a worker is replaced, and one read again by
the master is in force in the worker. Neither is ever logged or an argument of a process.
"""

from __future__ import annotations

import mmap
import re

from toolbox.auth.secret_files import SecretFiles
from toolbox.auth.secret_files import read_secret
from toolbox.auth.shared import SharedText
from toolbox.errors import BadRequest
from toolbox.handover.inheritance import Secrets
from toolbox.settings import SettingsError

LONGEST = mmap.PAGESIZE - 2
"""Bytes of a token or a signing key at most."""

_SHA256 = re.compile("[0-9a-fA-F]{64}")


class SecretStore:
    """The secrets, each empty for none. ``files`` are read again by :meth:`renew`.

    ``caller_digest`` is the SHA-256, in hexadecimal digits, of a second token that is accepted, and
    that the service need not know. ``generated`` is the token if the service has made it up, to be
    shown to the operator.
    """

    def __init__(
        self,
        token: str = "",
        signing_key: str = "",
        files: SecretFiles | None = None,
        generated: str = "",
        caller_digest: str = "",
    ) -> None:
        self.generated = generated
        self.files = files or SecretFiles()
        self._token = SharedText(LONGEST)
        self._signing_key = SharedText(LONGEST)
        self._token.set(token or generated)
        self._signing_key.set(signing_key)
        self._caller_digest = SharedText(LONGEST)
        self._caller_digest.set(caller_digest)

    @property
    def token(self) -> bytes:
        """The token in force, empty if there is none (yet)."""
        return self._token.value

    @property
    def signing_key(self) -> str:
        """The key of signed URLs."""
        return self._signing_key.value.decode()

    @property
    def caller_digest(self) -> bytes:
        """The SHA-256 of the second token, 32 bytes; empty if there is none."""
        return bytes.fromhex(self._caller_digest.value.decode())

    def set_token(self, token: str) -> None:
        """Replace the token. Raises BadRequest for one that no header could carry."""
        check_token(token)
        self._token.set(token)

    def set_signing_key(self, key: str) -> None:
        """Replace the key of signed URLs. Raises BadRequest as for a token."""
        check_token(key, "signing key")
        self._signing_key.set(key)

    def export(self) -> Secrets:
        """Return the secrets in force, for the next version of this service."""
        return Secrets(
            self.token.decode(),
            self.signing_key,
            self._caller_digest.value.decode(),
            self.generated,
        )

    def restore(self, secrets: Secrets) -> None:
        """Replace the secrets by those that were in force before an upgrade."""
        self._token.set(secrets.token)
        self._signing_key.set(secrets.signing_key)
        self._caller_digest.set(secrets.caller_digest)
        self.generated = secrets.generated

    def renew(self) -> list[str]:
        """Read the files again; return the names of the secrets that have changed.

        Open WebSockets stay. Raises SettingsError, and then nothing is changed.
        """
        token = usable_token(read_secret("token_file", self.files.token))
        key = usable_key(read_secret("signing_key_file", self.files.signing_key))
        digest = usable_digest(read_secret("caller_digest_file", self.files.caller_digest))
        pairs = {
            "token": (token, self._token),
            "signing key": (key, self._signing_key),
            "caller's digest": (digest, self._caller_digest),
        }
        changed = [name for name, (new, old) in pairs.items() if new and new.encode() != old.value]
        for name in changed:
            new, old = pairs[name]
            old.set(new)
        return changed


def check_token(token: str, what: str = "token") -> None:
    """Raise BadRequest for a token that no header could carry."""
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > LONGEST:
        raise BadRequest(f"a {what} is 1 to {LONGEST} printable ASCII characters without spaces")


def usable_token(token: str) -> str:
    """Return ``token``, which may be empty. Raises SettingsError."""
    try:
        if token:
            check_token(token)
    except BadRequest as error:
        raise SettingsError(error.message) from None
    return token


def usable_key(key: str) -> str:
    """Return ``key``, which may be empty. Raises SettingsError."""
    if len(key.encode()) > LONGEST:
        raise SettingsError(f"a signing key has at most {LONGEST} bytes")
    return key


def usable_digest(digest: str) -> str:
    """Return ``digest`` in lower case; it may be empty. Raises SettingsError."""
    if digest and not _SHA256.fullmatch(digest):
        raise SettingsError("the caller's digest must be a SHA-256: 64 hexadecimal digits")
    return digest.lower()

"""The Protocol of a backend of the group ``server``."""

from __future__ import annotations

from typing import Protocol

from toolbox_server.models import UpdateEnvRequest


class ServerBackend(Protocol):
    """The state that the whole service shares: token and environment."""

    def initialize(self, authorization: str, token: str, signing_key: str) -> None:
        """Set or replace the bearer token, and the key of signed URLs unless that is empty; change
        nothing if ``token`` is empty.

        ``authorization`` is the header as it was sent, which must contain the current token, if
        there is one. Raises Unauthorized, or BadRequest for a token or a key that no header can
        carry.
        """

    def update_env(self, change: UpdateEnvRequest) -> None:
        """Change the environment of processes started from now on, completely or not at all.

        Raises InvalidVariable.
        """

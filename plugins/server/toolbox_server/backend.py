"""What a backend of the group ``server`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox_server.models import UpdateEnvRequest


class ServerBackend(Protocol):
    """Holds what the whole service shares."""

    def initialize(self, authorization: str, token: str) -> None:
        """Set or replace the bearer token, or change nothing if ``token`` is empty.

        ``authorization`` is the header as it was sent, which has to hold the token in force if
        there is one. Raises Unauthorized; BadRequest for a token no header could carry.
        """

    def update_env(self, change: UpdateEnvRequest) -> None:
        """Change what processes started from now on inherit: all of it, or nothing.

        Raises InvalidVariable.
        """

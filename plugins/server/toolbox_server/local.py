"""The backend ``local``: the token in the service's memory, the environment of its process."""

from __future__ import annotations

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox.processes import changing_environment
from toolbox_server.environment import apply
from toolbox_server.environment import plan
from toolbox_server.models import UpdateEnvRequest


class LocalServer:
    """See :class:`toolbox_server.backend.ServerBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._auth = context.auth

    def initialize(self, authorization: str, token: str, signing_key: str) -> None:
        self._auth.initialize(authorization, token, signing_key)

    def update_env(self, change: UpdateEnvRequest) -> None:
        # No process may start with half of a change.
        with changing_environment() as environ:
            apply(plan(change, dict(environ)), environ)

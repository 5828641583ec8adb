"""The server operations."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.errors import Unauthorized
from toolbox.group import Group
from toolbox_server.backend import ServerBackend
from toolbox_server.errors import InvalidVariable
from toolbox_server.models import Authorization
from toolbox_server.models import InitializeRequest
from toolbox_server.models import Message
from toolbox_server.models import UpdateEnvRequest

group = Group(
    "server",
    backend=ServerBackend,
    default_backend="local",
    section="server_group",  # [server] is the core's.
    summary="The bearer token and the environment of the service",
)


MAX_BODY = 64 * 1024
"""Maximum bytes of a body that may be unauthenticated."""


@group.post("/init", public=True, max_body=MAX_BODY, errors=(InvalidBody, BadRequest, Unauthorized))
def initialize(backend: ServerBackend, body: InitializeRequest, headers: Authorization) -> Message:
    """Set or replace the bearer token, and with it the key of signed URLs.

    Replacing requires the current token. Only a service in auth mode "init" can be without one.
    """
    backend.initialize(headers.authorization, body.token or "", body.signing_key or "")
    return Message("initialized")


@group.post("/env", errors=(InvalidBody, InvalidVariable))
def update_env(backend: ServerBackend, body: UpdateEnvRequest) -> Message:
    """Change the environment of processes started from now on.

    If any name or value is invalid, nothing changes.
    """
    backend.update_env(body)
    return Message("environment updated")

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
"""Bytes of a body that may come from a stranger."""


@group.post("/init", public=True, max_body=MAX_BODY, errors=(InvalidBody, BadRequest, Unauthorized))
def initialize(backend: ServerBackend, body: InitializeRequest, headers: Authorization) -> Message:
    """Set the bearer token, or replace it.

    Replacing needs the token in force. Only a service in auth mode "init" can be without one.
    """
    backend.initialize(headers.authorization, body.token or "")
    return Message("initialized")


@group.post("/env", errors=(InvalidBody, InvalidVariable))
def update_env(backend: ServerBackend, body: UpdateEnvRequest) -> Message:
    """Change the environment that processes started from now on inherit.

    All of the change is made or, if any name or value is invalid, nothing of it.
    """
    backend.update_env(body)
    return Message("environment updated")

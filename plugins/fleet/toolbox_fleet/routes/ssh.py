"""Access to sandboxes by SSH."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasSshAccess
from toolbox_fleet.errors import InvalidHost
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.ssh import SshAccess
from toolbox_fleet.models.ssh import SshAccessValidation
from toolbox_fleet.routes.abilities import able
from toolbox_fleet.routes.presenting import present

operations = Operations()

ONE = "/api/sandbox/{sandbox_id}/ssh-access"


class CreateQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The minutes for which a token is valid."""

    expires_in_minutes: Annotated[float, Meta(gt=0, le=5_000_000)] = 60


class RevokeQuery(msgspec.Struct, frozen=True):
    """The token to revoke; all of the sandbox without one."""

    token: str = ""


class ValidateQuery(msgspec.Struct, frozen=True):
    """The token to check."""

    token: str


@operations.get("/api/sandbox/ssh-access/validate", errors=(Unsupported,))
def validate_ssh_access(backend: FleetBackend, query: ValidateQuery) -> SshAccessValidation:
    """Return whether an SSH token is valid, and for which sandbox."""
    return able(backend, HasSshAccess).validate_ssh_access(query.token)


@operations.post(ONE, errors=(NoSuchSandbox, InvalidValue, Unsupported))
def create_ssh_access(backend: FleetBackend, sandbox_id: str, query: CreateQuery) -> SshAccess:
    """Issue a token by which a sandbox is reached by SSH."""
    # First, so that a missing sandbox is 404 whatever the backend can do.
    sandbox = backend.sandbox(sandbox_id)
    return able(backend, HasSshAccess).create_ssh_access(sandbox.id, query.expires_in_minutes)


@operations.delete(ONE, errors=(InvalidHost, NoSuchSandbox, NoSuchResource, Unsupported))
def revoke_ssh_access(
    backend: FleetBackend, sandbox_id: str, query: RevokeQuery, request: RequestInfo
) -> Sandbox:
    """Revoke an SSH token of a sandbox, or all."""
    sandbox = backend.sandbox(sandbox_id)
    revoked = able(backend, HasSshAccess).revoke_ssh_access(sandbox.id, query.token or None)
    return present(backend, revoked, request)

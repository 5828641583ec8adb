"""Errors on E2B's wires.

Procedures respond as the Connect protocol demands: ``{"code": "not_found", "message": ...}``. The
other operations, and the control plane, have the status as the code: ``{"code": 404, ...}``.
"""

from __future__ import annotations

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.errors import TooManyRequests
from toolbox.errors import UnsupportedMediaType

ROOT = "/e2b"
SERVICES = ("process.Process", "filesystem.Filesystem")


class InvalidArgument(BadRequest):
    """The message, or its frame, is malformed or makes no sense."""

    code = "invalid_argument"


class NoSuchProcess(NotFound):
    """No process with this pid or tag runs."""

    code = "not_found"


class NoSuchWatcher(NotFound):
    """No watcher has this id."""

    code = "not_found"


class NoSuchProcedure(NotFound):
    """The service has no procedure of this name."""

    code = "unimplemented"


class AlreadyThere(Conflict):
    """The directory, or the tag, is already there."""

    code = "already_exists"


class FailedPrecondition(BadRequest):
    """The process takes no input."""

    code = "failed_precondition"


class OtherUser(Forbidden):
    """The request is for a user that the service can't act for."""

    code = "permission_denied"


class Exhausted(TooManyRequests):
    """A message is too large, or too much is going on at once."""

    code = "resource_exhausted"


class DeadlineExceeded(RequestTimeout):
    """The time of the call is over."""

    code = "deadline_exceeded"


class Compressed(UnsupportedMediaType):
    """The message is compressed."""

    code = "unimplemented"


_CODES = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    409: "already_exists",
    410: "not_found",
    412: "failed_precondition",
    413: "resource_exhausted",
    415: "invalid_argument",
    422: "invalid_argument",
    429: "resource_exhausted",
    501: "unimplemented",
    502: "unavailable",
    503: "unavailable",
    504: "deadline_exceeded",
    507: "resource_exhausted",
}


class ProcedureError(msgspec.Struct, frozen=True):
    """An error of a procedure."""

    code: str
    message: str


class HttpError(msgspec.Struct, frozen=True):
    """An error of any other operation."""

    code: int
    message: str


def procedure_error(error: ToolboxError) -> ProcedureError:
    """Return ``error`` as a procedure responds with it."""
    # The codes of this group's own errors are Connect's; those of others are in capitals.
    own = error.code if error.code.islower() else ""
    return ProcedureError(own or _CODES.get(error.status, "internal"), error.message)


def write_error(error: ToolboxError, path: str) -> bytes:
    """Return the body for an error at ``path``."""
    # By the path, as the router's own errors belong to no operation.
    service = path.removeprefix(f"{ROOT}/").partition("/")[0]
    if service in SERVICES:
        return msgspec.json.encode(procedure_error(error))
    return msgspec.json.encode(HttpError(error.status, error.message))

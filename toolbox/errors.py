"""The one error tree, and the envelope every error is answered in.

Backends raise these and know nothing of HTTP; a group's own errors subclass the nearest class
and set only ``code``::

    ToolboxError                    500  INTERNAL_SERVER_ERROR
    ├── BadRequest                  400  BAD_REQUEST
    │   └── InvalidBody             400  INVALID_REQUEST_BODY
    ├── Unauthorized                401  UNAUTHORIZED
    ├── Forbidden                   403  FORBIDDEN
    ├── NotFound                    404  NOT_FOUND
    ├── RequestTimeout              408  REQUEST_TIMEOUT
    ├── Conflict                    409  CONFLICT
    ├── Gone                        410  GONE
    ├── PreconditionFailed          412  PRECONDITION_FAILED
    ├── ContentTooLarge             413  CONTENT_TOO_LARGE
    ├── UriTooLong                  414  URI_TOO_LONG
    ├── UnsupportedMediaType        415  UNSUPPORTED_MEDIA_TYPE
    ├── RangeNotSatisfiable         416  RANGE_NOT_SATISFIABLE
    ├── ExpectationFailed           417  EXPECTATION_FAILED
    ├── Unprocessable               422  UNPROCESSABLE_ENTITY
    ├── UpgradeRequired             426  UPGRADE_REQUIRED
    ├── TooManyRequests             429  TOO_MANY_REQUESTS
    ├── HeadersTooLarge             431  REQUEST_HEADER_FIELDS_TOO_LARGE
    ├── NotImplemented_             501  NOT_IMPLEMENTED
    ├── BadGateway                  502  BAD_GATEWAY
    ├── Unavailable                 503  SERVICE_UNAVAILABLE
    ├── GatewayTimeout              504  GATEWAY_TIMEOUT
    └── InsufficientStorage         507  INSUFFICIENT_STORAGE

Codes and envelope are the Daytona Toolbox API's; an SDK picks its exception class by the pair
(``source``, ``code``), else by the status.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import ClassVar

import msgspec

SOURCE = "DAYTONA_DAEMON"
"""What the SDKs look for in ``source`` before they believe ``code``."""


class ErrorResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The envelope of every error answer."""

    status_code: int
    message: str
    timestamp: str
    path: str
    code: str = ""
    source: str = ""
    method: str = ""


class ToolboxError(Exception):
    """A failure with an HTTP status and a code; the message is for people.

    ``headers`` are added to the answer (``Allow``, ``Retry-After``, ``WWW-Authenticate``). What
    must not be written is taken out of the message by ``hide``, wherever that goes.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    hide: ClassVar[Callable[[str], str]] = str

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        message = ToolboxError.hide(message)
        super().__init__(message)
        self.message = message
        self.headers = headers or {}


class BadRequest(ToolboxError):
    """The request can't be served as it was sent."""

    status = 400
    code = "BAD_REQUEST"


class InvalidBody(BadRequest):
    """The body is not what the operation takes: malformed, wrong type, required field absent."""

    code = "INVALID_REQUEST_BODY"


class Unauthorized(ToolboxError):
    """No token, or not the right one."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        # RFC 9110, 11.6.1: a 401 names the scheme it wants.
        super().__init__(message, {"WWW-Authenticate": "Bearer", **(headers or {})})


class Forbidden(ToolboxError):
    """Understood and refused."""

    status = 403
    code = "FORBIDDEN"


class NotFound(ToolboxError):
    """No such route or thing."""

    status = 404
    code = "NOT_FOUND"


class RequestTimeout(ToolboxError):
    """The work or the client took longer than it may.

    The message begins with the Daytona Toolbox API's words: clients look for "timeout" in it.
    """

    status = 408
    code = "REQUEST_TIMEOUT"

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"request timeout: {message}", headers)


class Conflict(ToolboxError):
    """It exists already, or is in a state that doesn't allow this."""

    status = 409
    code = "CONFLICT"


class Gone(ToolboxError):
    """It was here and has ended."""

    status = 410
    code = "GONE"


class PreconditionFailed(ToolboxError):
    """An ``If-Match`` or its like doesn't hold (RFC 9110, 13)."""

    status = 412
    code = "PRECONDITION_FAILED"


class ContentTooLarge(ToolboxError):
    """The body is over the operation's limit."""

    status = 413
    code = "CONTENT_TOO_LARGE"


class UriTooLong(ToolboxError):
    """The URL is over the limit."""

    status = 414
    code = "URI_TOO_LONG"


class UnsupportedMediaType(ToolboxError):
    """The body is of a type that isn't taken."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class RangeNotSatisfiable(ToolboxError):
    """The range asked for lies outside the thing (RFC 9110, 14.4)."""

    status = 416
    code = "RANGE_NOT_SATISFIABLE"


class ExpectationFailed(ToolboxError):
    """The client expects what no server can do (RFC 9110, 10.1.1)."""

    status = 417
    code = "EXPECTATION_FAILED"


class Unprocessable(ToolboxError):
    """Well-formed, and still refused by what it was meant for."""

    status = 422
    code = "UNPROCESSABLE_ENTITY"


class UpgradeRequired(ToolboxError):
    """This address speaks WebSocket only."""

    status = 426
    code = "UPGRADE_REQUIRED"


class TooManyRequests(ToolboxError):
    """Asked too often."""

    status = 429
    code = "TOO_MANY_REQUESTS"


class HeadersTooLarge(ToolboxError):
    """The headers are too many, or too long (RFC 6585, 5)."""

    status = 431
    code = "REQUEST_HEADER_FIELDS_TOO_LARGE"


class NotImplemented_(ToolboxError):
    """The backend in use can't do this."""

    status = 501
    code = "NOT_IMPLEMENTED"


class BadGateway(ToolboxError):
    """What stands behind us didn't answer properly."""

    status = 502
    code = "BAD_GATEWAY"


class Unavailable(ToolboxError):
    """Not now: starting, stopping, full, or something it needs is missing."""

    status = 503
    code = "SERVICE_UNAVAILABLE"


class GatewayTimeout(ToolboxError):
    """What stands behind us didn't answer in time."""

    status = 504
    code = "GATEWAY_TIMEOUT"


class InsufficientStorage(ToolboxError):
    """The disk or a quota is full."""

    status = 507
    code = "INSUFFICIENT_STORAGE"


_BY_STATUS: dict[int, type[ToolboxError]] = {
    kind.status: kind for kind in ToolboxError.__subclasses__()
}


def from_status(status: int, message: str, headers: dict[str, str]) -> ToolboxError:
    """The error for an HTTP status that a library chose."""
    kind = _BY_STATUS.get(status, BadRequest if status < 500 else ToolboxError)
    return kind(message, headers)


_BY_ERRNO: dict[int, type[ToolboxError]] = {
    errno.ENOENT: NotFound,
    errno.EACCES: Forbidden,
    errno.EPERM: Forbidden,
    errno.EROFS: Forbidden,
    errno.EEXIST: Conflict,
    errno.ENOTEMPTY: Conflict,
    errno.EBUSY: Conflict,
    errno.ETXTBSY: Conflict,
    errno.ENOTDIR: BadRequest,
    errno.EISDIR: BadRequest,
    errno.ELOOP: BadRequest,
    errno.ENAMETOOLONG: BadRequest,
    errno.EINVAL: BadRequest,
    errno.ENXIO: BadRequest,
    errno.EFBIG: ContentTooLarge,
    errno.ENOSPC: InsufficientStorage,
    errno.EDQUOT: InsufficientStorage,
    errno.EMFILE: Unavailable,
    errno.ENFILE: Unavailable,
    errno.ENOMEM: Unavailable,
    errno.EAGAIN: Unavailable,
}


def from_os_error(error: OSError) -> ToolboxError | None:
    """The error an ``OSError`` that no backend translated is answered with, or None: a bug."""
    kind = _BY_ERRNO.get(error.errno or 0)
    if kind is None:
        return None
    return kind(describe_os_error(error))


def describe_os_error(error: OSError) -> str:
    """``name: reason`` in the kernel's words; a name that isn't UTF-8 is shown with ``\\x..``."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.filename is None:
        return ToolboxError.hide(reason)
    return ToolboxError.hide(f"{printable(os.fsdecode(error.filename))}: {reason}")


def printable(text: str) -> str:
    """``text`` with bytes that are not UTF-8 escaped, so that it can be sent as JSON."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def envelope(error: ToolboxError, path: str, method: str) -> ErrorResponse:
    """The envelope for ``error`` raised while answering ``method path``."""
    return ErrorResponse(
        status_code=error.status,
        message=error.message,
        code=error.code,
        source=SOURCE,
        timestamp=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        path=ToolboxError.hide(path),
        method=method,
    )

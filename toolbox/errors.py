"""The tree of errors: each class has an HTTP status and a code.

Backends raise these and know nothing else of HTTP. A group's own errors subclass the nearest class
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
    ├── TooManyRequests             429  TOO_MANY_REQUESTS
    ├── HeadersTooLarge             431  REQUEST_HEADER_FIELDS_TOO_LARGE
    ├── NotSupported                501  NOT_IMPLEMENTED
    ├── BadGateway                  502  BAD_GATEWAY
    ├── Unavailable                 503  SERVICE_UNAVAILABLE
    ├── GatewayTimeout              504  GATEWAY_TIMEOUT
    └── InsufficientStorage         507  INSUFFICIENT_STORAGE

The codes are those of the Daytona Toolbox API; :mod:`toolbox.http.envelope` puts them on the wire.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import ClassVar

from toolbox.filenames import show_bytes


class ToolboxError(Exception):
    """A failure with an HTTP status and a code; the message is for people.

    ``headers`` are added to the response (``Allow``, ``Retry-After``, ``WWW-Authenticate``).
    ``hide`` removes secrets from the message, which may end in a response, a log or a file.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    hide: ClassVar[Callable[[str], str]] = str

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        # In names that are no text the bytes are shown, as in the kernel's messages.
        message = ToolboxError.hide(show_bytes(message))
        super().__init__(message)
        self.message = message
        self.headers = headers or {}


class BadRequest(ToolboxError):
    """The request is malformed or makes no sense."""

    status = 400
    code = "BAD_REQUEST"


class InvalidBody(BadRequest):
    """The body is malformed, has a wrong type, or lacks a required field."""

    code = "INVALID_REQUEST_BODY"


class Unauthorized(ToolboxError):
    """The request has no valid credentials."""

    status = 401
    code = "UNAUTHORIZED"

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        # RFC 9110, 11.6.1: a 401 names the scheme that is expected.
        super().__init__(message, {"WWW-Authenticate": "Bearer", **(headers or {})})


class Forbidden(ToolboxError):
    """The request is understood and refused."""

    status = 403
    code = "FORBIDDEN"


class NotFound(ToolboxError):
    """The route or the resource does not exist."""

    status = 404
    code = "NOT_FOUND"


class RequestTimeout(ToolboxError):
    """The work, or the client, exceeded its time limit.

    The message begins as that of the Daytona Toolbox API: clients search it for "timeout".
    """

    status = 408
    code = "REQUEST_TIMEOUT"

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"request timeout: {message}", headers)


class Conflict(ToolboxError):
    """The resource already exists, or its state doesn't allow the request."""

    status = 409
    code = "CONFLICT"


class Gone(ToolboxError):
    """The resource existed and has ended."""

    status = 410
    code = "GONE"


class PreconditionFailed(ToolboxError):
    """A condition such as ``If-Match`` doesn't hold (RFC 9110, 13)."""

    status = 412
    code = "PRECONDITION_FAILED"


class ContentTooLarge(ToolboxError):
    """The body exceeds the operation's limit."""

    status = 413
    code = "CONTENT_TOO_LARGE"


class UriTooLong(ToolboxError):
    """The URL exceeds the limit."""

    status = 414
    code = "URI_TOO_LONG"


class UnsupportedMediaType(ToolboxError):
    """The body's type is not supported."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class RangeNotSatisfiable(ToolboxError):
    """The requested range lies outside the resource (RFC 9110, 14.4)."""

    status = 416
    code = "RANGE_NOT_SATISFIABLE"


class ExpectationFailed(ToolboxError):
    """The ``Expect`` header can't be met (RFC 9110, 10.1.1)."""

    status = 417
    code = "EXPECTATION_FAILED"


class Unprocessable(ToolboxError):
    """The request is well-formed, and the resource rejects it."""

    status = 422
    code = "UNPROCESSABLE_ENTITY"


class TooManyRequests(ToolboxError):
    """The client sends too many requests (RFC 6585, 4)."""

    status = 429
    code = "TOO_MANY_REQUESTS"


class HeadersTooLarge(ToolboxError):
    """The headers are too many or too long (RFC 6585, 5)."""

    status = 431
    code = "REQUEST_HEADER_FIELDS_TOO_LARGE"


class NotSupported(ToolboxError):
    """The backend in use doesn't support the operation."""

    status = 501
    code = "NOT_IMPLEMENTED"


class BadGateway(ToolboxError):
    """An upstream server sent no valid response."""

    status = 502
    code = "BAD_GATEWAY"


class Unavailable(ToolboxError):
    """The service is starting, stopping or full, or lacks something it needs."""

    status = 503
    code = "SERVICE_UNAVAILABLE"


class GatewayTimeout(ToolboxError):
    """An upstream server didn't respond in time."""

    status = 504
    code = "GATEWAY_TIMEOUT"


class InsufficientStorage(ToolboxError):
    """The disk, or a quota, is full."""

    status = 507
    code = "INSUFFICIENT_STORAGE"


# Complete for what libraries raise, such as Werkzeug's 429 and 504, which we don't: a status
# that is missing here would become a 400 or a 500.
_BY_STATUS: dict[int, type[ToolboxError]] = {
    kind.status: kind for kind in ToolboxError.__subclasses__()
}


def from_status(status: int, message: str, headers: dict[str, str]) -> ToolboxError:
    """Return the error for an HTTP status that a library chose."""
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
    """Return the error for an ``OSError`` that no backend translated, or None if it is a bug."""
    kind = _BY_ERRNO.get(error.errno or 0)
    if kind is None:
        return None
    return kind(describe_os_error(error))


def describe_os_error(error: OSError) -> str:
    """Return ``name: reason`` in the kernel's words, with bytes that aren't UTF-8 as ``\\x..``."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.filename is None:
        return ToolboxError.hide(reason)
    return ToolboxError.hide(f"{printable(os.fsdecode(error.filename))}: {reason}")


def printable(text: str) -> str:
    """Return ``text`` with bytes that are not UTF-8 escaped, so that it can be sent as JSON."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

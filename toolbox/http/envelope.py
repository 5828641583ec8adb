"""The envelope of error responses.

Its form is the Daytona Toolbox API's: an SDK picks its exception class by the pair (``source``,
``code``), otherwise by the status. The control plane's API has another source, no codes that an SDK
maps, and the status in words.
"""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from http import HTTPStatus

import msgspec

from toolbox.errors import ToolboxError

SOURCE = "DAYTONA_DAEMON"
"""The value of ``source`` that makes SDKs trust ``code``."""

CONTROL_PLANE = "DAYTONA_API"
"""The value of ``source`` in errors of a control plane."""


class ErrorResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The envelope of every error response."""

    status_code: int
    message: str
    timestamp: str
    path: str
    code: str = ""
    source: str = ""
    method: str = ""
    error: str = ""
    """The status in words; a control plane's errors have it."""


def envelope(error: ToolboxError, path: str, method: str, source: str = SOURCE) -> ErrorResponse:
    """Return the envelope of ``error``, which ended the request ``method path``."""
    return ErrorResponse(
        status_code=error.status,
        message=error.message,
        code=error.code,
        source=source,
        timestamp=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        path=ToolboxError.hide(path),
        method=method,
        error=HTTPStatus(error.status).phrase if source == CONTROL_PLANE else "",
    )

"""Error responses: exceptions of operations, of libraries and of the router, in one envelope."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from flask import current_app
from flask import request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import MapAdapter
from werkzeug.routing import RequestRedirect
from werkzeug.routing import WebsocketMismatch
from werkzeug.wrappers import Response

from toolbox.application.request_id import request_id
from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import from_os_error
from toolbox.errors import from_status
from toolbox.http.connection import client_of
from toolbox.http.envelope import SOURCE
from toolbox.http.envelope import envelope
from toolbox.http.environ import ERROR
from toolbox.http.slashes import encoded
from toolbox.http.slashes import with_slashes

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

log = logging.getLogger("toolbox")


def error_response(error: Exception) -> Response:
    """Return the response to whatever a request raised, and log what is the service's fault."""
    if isinstance(error, RequestRedirect):
        return Response(status=error.code, headers={"Location": error.new_url})
    if isinstance(error, HTTPException):
        # Clients differ in whether a path ends with a slash.
        if error.code == 404 and (other := _other_slash()):
            return other
        if isinstance(error, WebsocketMismatch):
            error = BadRequest("this path is not a WebSocket")
        else:
            error = _from_http_exception(error)
    if isinstance(error, OSError):
        error = from_os_error(error) or error
    if not isinstance(error, ToolboxError):
        log.error("%s %s failed [%s]", *_line(), exc_info=error)
        # An id instead of the message, which may hold anything.
        error = ToolboxError(f"internal error; the log has details under {request_id()}")
    elif error.status >= 500:
        log.warning("%s %s: %s [%s]", *_line()[:2], error.message, request_id())
    request.environ[ERROR] = error.code
    if (client := client_of(request.environ)) is not None:
        client.refuse()
    path = with_slashes(request.path)
    return Response(
        _body(error, path), error.status, error.headers, content_type="application/json"
    )


def _body(error: ToolboxError, path: str) -> bytes:
    """Return the body of the response to ``error`` at ``path``, which may be of no operation."""
    toolbox: Toolbox = current_app.extensions["toolbox"]
    source = SOURCE
    for group in toolbox.groups():
        if group.root and f"{path}/".startswith(f"{group.root}/"):
            if group.error_writer is not None:
                return group.error_writer(error, path)
            source = group.error_source
    return msgspec.json.encode(envelope(error, path, request.method, source))


def _line() -> tuple[str, str, str]:
    """Return method, path and id for a log line; never the query, which may hold a token."""
    return request.method, repr(with_slashes(request.path)), request_id()


def _from_http_exception(error: HTTPException) -> ToolboxError:
    if isinstance(error, MethodNotAllowed):
        # A set, whose order would differ between two starts.
        error.valid_methods = sorted(error.valid_methods or ())
    headers = {
        name: value
        for name, value in error.get_headers()
        # The envelope has its own.
        if name.lower() not in ("content-type", "content-length")
    }
    if error.code == 405:
        # The API has no 405: a path without this method is not found.
        return NotFound(f"no operation has the method {request.method} at this path", headers)
    if error.code == 404:
        return NotFound("no operation has this path; GET /openapi.json lists them all", headers)
    return from_status(error.code or 500, error.description or error.name, headers)


def _other_slash() -> Response | None:
    """Return a redirect to the path with or without its last slash, if only that one exists."""
    path = request.path.removesuffix("/") if request.path.endswith("/") else request.path + "/"
    if not path or not _adapter().test(path, request.method):
        return None
    query = request.query_string.decode("latin-1")
    location = request.script_root + encoded(path) + (f"?{query}" if query else "")
    # 307 keeps the method and the body; caches may keep the 301 of a GET.
    return Response(
        status=301 if request.method in ("GET", "HEAD") else 307, headers={"Location": location}
    )


def _adapter() -> MapAdapter:
    return current_app.url_map.bind_to_environ(request.environ)

"""Flask views made of operations: arguments from the request, a response from the value."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any
from typing import NoReturn

from flask import Request
from flask import request
from flask.globals import request_ctx
from werkzeug.wrappers import Response

from toolbox.application.request_id import request_id
from toolbox.errors import ToolboxError
from toolbox.group import Argument
from toolbox.group import Operation
from toolbox.http.environ import AUTH
from toolbox.http.reply import Reply
from toolbox.http.slashes import with_slashes
from toolbox.lifecycle import Toolbox
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.request import decode_headers
from toolbox.request import decode_json
from toolbox.request import decode_path
from toolbox.request import decode_query
from toolbox.request import prepare
from toolbox.response import StreamResponse
from toolbox.response import respond
from toolbox.sockets.handshake import check_handshake

View = Callable[..., Response]
GetBackend = Callable[[], Any]


def make_view(toolbox: Toolbox, operation: Operation, get_backend: GetBackend) -> View:
    """Return the view of an HTTP operation."""
    # Once per operation, not per request: msgspec analyzes the types here.
    readers = [_reader(toolbox, operation, argument) for argument in operation.arguments]
    streams = operation.argument("stream") is not None

    def view(**path: str) -> Response:
        asked = request_ctx.request
        arguments = [read(asked, path) for read in readers]
        try:
            value = operation.function(get_backend(), *arguments)
        except Exception:
            if streams:
                _drain(arguments)
            raise
        # A stream may read on; what others leave would begin the connection's next request.
        if streams and not isinstance(value, StreamResponse | Response):
            _drain(arguments)
        return respond(value, operation.status, asked.environ)

    return view


def _drain(arguments: list[Any]) -> None:
    """Read the rest of an upload before the response: a client that is still sending would see a
    broken connection instead of that.
    """
    for body in arguments:
        if isinstance(body, Body):
            try:
                body.drain()
            except ToolboxError:
                pass  # The client disconnected; the first error is the one that explains it.


def make_socket_view(toolbox: Toolbox, operation: Operation, get_backend: GetBackend) -> View:
    """Return the view of a WebSocket operation, which gives the connection away."""
    readers = [_reader(toolbox, operation, argument) for argument in operation.arguments]

    def view(**path: str) -> Response:
        environ = request.environ
        key = check_handshake(environ)
        stranger = AUTH not in environ
        # Before the operation runs, which may start a process for the socket.
        toolbox.sockets.reserve(stranger)
        try:
            asked = request_ctx.request
            arguments = [read(asked, path) for read in readers]
            handler = operation.function(get_backend(), *arguments)
            if not isinstance(handler, Response):
                request_id()  # The 101 response carries it.
                on_end = toolbox.observers.on_end(environ)
                secret = toolbox.auth.credentials_in(environ).subprotocols
                toolbox.sockets.accept(environ, key, handler, on_end, stranger, secret)
                return HandedOff()
        except Exception:
            toolbox.sockets.release()
            raise
        # The operation refused the upgrade with a response of its own.
        toolbox.sockets.release()
        return handler

    return view


def _reader(
    toolbox: Toolbox, operation: Operation, argument: Argument
) -> Callable[[Request, dict[str, str]], Any]:
    """Return a function that makes the value of one argument from a request, and its path."""
    kind, name = argument.type, argument.name
    limit = operation.max_body or toolbox.settings.server.max_body
    if argument.source in ("path", "query", "headers", "body"):
        prepare(kind)
    match argument.source:
        case "path":
            return lambda asked, path: decode_path(with_slashes(path[name]), kind, name)
        case "query":
            return lambda asked, path: decode_query(asked.args, kind)
        case "headers":
            return lambda asked, path: decode_headers(asked.environ, kind)
        case "body":
            return lambda asked, path: _json(asked.environ, toolbox, limit, kind)
        case "stream":
            return lambda asked, path: Body(asked.environ)
        case "request":
            return lambda asked, path: RequestInfo(
                asked.method,
                with_slashes(asked.path),
                asked.query_string.decode("latin-1"),
                asked.headers,
                asked.environ,
                toolbox.interrupted,
            )


# A JSON body from another origin's page needs no CORS preflight if its type is text/plain, so the
# guard looks at the type.
def _json(environ: dict[str, Any], toolbox: Toolbox, limit: int, kind: Any) -> Any:
    toolbox.guard.check_json(environ)
    data = Body(environ).read_all(limit)
    # No body at all is None where that is allowed: clients send none for an optional one.
    return None if not data and _is_optional(kind) else decode_json(data, kind)


def _is_optional(kind: Any) -> bool:
    return type(None) in typing.get_args(kind)


class HandedOff(Reply):
    """The response to a request whose socket the server no longer owns.

    It must be one of the application's: any other is converted to one, and would be sent.
    """

    def __call__(self, environ: Any, start_response: Any) -> NoReturn:
        # To gunicorn's gthread worker this means: no response, and close the connection.
        raise StopIteration

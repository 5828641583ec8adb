"""The WSGI application: routes made of the groups' operations, and what surrounds each request."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from functools import partial
from typing import Any
from typing import NoReturn

import flask
import msgspec
from flask import Flask
from flask import g
from flask import request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.routing import WebsocketMismatch
from werkzeug.wrappers import Response

from toolbox import status
from toolbox.client import client_of
from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import envelope
from toolbox.errors import from_os_error
from toolbox.errors import from_status
from toolbox.group import Argument
from toolbox.group import Operation
from toolbox.group import flask_rule
from toolbox.handoff import check_handshake
from toolbox.lifecycle import Toolbox
from toolbox.observing import AUTH
from toolbox.observing import ERROR
from toolbox.observing import OPERATION
from toolbox.observing import REQUEST_ID
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.request import decode_headers
from toolbox.request import decode_json
from toolbox.request import decode_path
from toolbox.request import decode_query
from toolbox.request import only
from toolbox.request import prepare
from toolbox.response import JSON
from toolbox.response import respond
from toolbox.routing import MatchingRule
from toolbox.routing import Rest
from toolbox.signing import SIGNATURE_QUERY
from toolbox.signing import SIGNED_QUERY
from toolbox.slashes import EncodedSlashes
from toolbox.slashes import encoded
from toolbox.slashes import with_slashes

log = logging.getLogger("toolbox")

MAX_REQUEST_ID = 128

View = Callable[..., Response]
Backend = Callable[[], Any]


def create_app(toolbox: Toolbox) -> Flask:
    """The WSGI application of ``toolbox``. Nothing runs until ``toolbox.start()``."""
    app = Flask("toolbox", static_folder=None)
    app.extensions["toolbox"] = toolbox
    app.url_rule_class = MatchingRule
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = Rest
    constants: dict[str, tuple[str, bytes]] = {}
    public: set[str] = set()
    initial: set[str] = set()
    signed: dict[str, str] = {}
    for group, operation, backend in _operations(toolbox):
        endpoint = f"{group}.{operation.name}"
        view = _socket_view if operation.websocket else _view
        _add_rule(app, operation, endpoint, view(toolbox, operation, backend))
        if operation.public:
            (initial if operation.initial else public).add(endpoint)
        if operation.signed:
            signed[endpoint] = group
        if operation.constant:
            constant = msgspec.json.encode(operation.function(None))
            constants[operation.path] = endpoint, constant
    _add_upgrade_hints(app, toolbox, public)
    app.before_request(
        lambda: _before(toolbox, public | initial if toolbox.auth.is_open else public, signed)
    )
    app.after_request(_after)
    app.register_error_handler(Exception, _on_error)
    app.wsgi_app = _Entrance(  # type: ignore[method-assign]
        app.wsgi_app, toolbox.settings.server.path_prefix, constants
    )
    toolbox.registry.hook.toolbox_app(app=app, toolbox=toolbox)
    app.wsgi_app = EncodedSlashes(app.wsgi_app)  # type: ignore[method-assign]
    return app


def _operations(toolbox: Toolbox) -> Iterator[tuple[str, Operation, Backend]]:
    for operation in status.group.operations:
        yield status.group.name, operation, partial(_itself, toolbox)
    for served in toolbox.registry.served:
        name = served.group.name
        for operation in served.group.operations:
            yield name, operation, partial(toolbox.backend, name)


def _itself(toolbox: Toolbox) -> Toolbox:
    return toolbox


def _add_rule(app: Flask, operation: Operation, endpoint: str, view: View) -> None:
    app.add_url_rule(
        flask_rule(operation.path),
        endpoint,
        view,
        methods=list(operation.methods),
        websocket=operation.websocket,
        strict_slashes=not operation.trailing_slash,
        provide_automatic_options=False,
    )


def _add_upgrade_hints(app: Flask, toolbox: Toolbox, public: set[str]) -> None:
    """Answer a plain GET of a path that is only a WebSocket with what is wanted instead."""
    operations = [operation for _, operation, _ in _operations(toolbox)]
    plain = {each.path for each in operations if not each.websocket and "GET" in each.methods}

    def hint(**_: str) -> Response:
        check_handshake(request.environ)
        raise BadRequest("this path is a WebSocket: the Connection header must say upgrade")

    for operation in operations:
        if operation.websocket and operation.path not in plain:
            endpoint = f"upgrade {operation.path}"
            app.add_url_rule(flask_rule(operation.path), endpoint, hint, methods=["GET"])
            if operation.public:
                public.add(endpoint)


# Views


def _view(toolbox: Toolbox, operation: Operation, backend: Backend) -> View:
    readers = [_reader(toolbox, operation, argument) for argument in operation.arguments]
    streams = operation.argument("stream") is not None

    def view(**path: str) -> Response:
        arguments = [read(path) for read in readers]
        try:
            value = operation.function(backend(), *arguments)
        except Exception:
            if streams:
                _drain(arguments)
            raise
        return respond(value, operation.status, request.environ)

    return view


def _drain(arguments: list[Any]) -> None:
    """Take the rest of an upload before the error is answered: a client that is still sending
    would see a broken connection instead of the answer.
    """
    for body in arguments:
        if isinstance(body, Body):
            try:
                body.drain()
            except ToolboxError:
                pass  # The client is gone; the first error is the one that tells why.


def _socket_view(toolbox: Toolbox, operation: Operation, backend: Backend) -> View:
    readers = [_reader(toolbox, operation, argument) for argument in operation.arguments]

    def view(**path: str) -> Response:
        environ = request.environ
        key = check_handshake(environ)
        stranger = AUTH not in environ
        toolbox.sockets.reserve(stranger)
        try:
            arguments = [read(path) for read in readers]
            handler = operation.function(backend(), *arguments)
            if not isinstance(handler, Response):
                _request_id()  # The 101 has it.
                on_end = toolbox.observers.on_end(environ)
                toolbox.sockets.accept(environ, key, handler, on_end, stranger)
                return HandedOff()
        except Exception:
            toolbox.sockets.release()
            raise
        toolbox.sockets.release()
        return handler

    return view


def _reader(
    toolbox: Toolbox, operation: Operation, argument: Argument
) -> Callable[[dict[str, str]], Any]:
    """The function that makes the value of one argument from the current request."""
    kind, name = argument.type, argument.name
    limit = operation.max_body or toolbox.settings.server.max_body
    if argument.source in ("path", "query", "headers", "body"):
        prepare(kind)
    match argument.source:
        case "path":
            return lambda path: decode_path(with_slashes(path[name]), kind, name)
        case "query":
            return lambda path: decode_query(request.args, kind)
        case "headers":
            return lambda path: decode_headers(request.headers, kind)
        case "body":
            return lambda path: _json(toolbox, limit, kind)
        case "stream":
            return lambda path: Body(request.environ)
        case "request":
            return lambda path: RequestInfo(
                request.method,
                with_slashes(request.path),
                request.query_string.decode("latin-1"),
                request.headers,
                request.environ,
            )


def _json(toolbox: Toolbox, limit: int, kind: Any) -> Any:
    toolbox.guard.check_json(request.environ)
    return decode_json(Body(request.environ).read_all(limit), kind)


# Around each request


def _before(toolbox: Toolbox, public: set[str], signed: dict[str, str]) -> None:
    # The token first: without it nobody learns which routes there are.
    endpoint = request.endpoint
    environ = request.environ
    environ[OPERATION] = endpoint or ""
    toolbox.guard.check(environ)
    if endpoint not in public:
        if endpoint in signed and _has_signature():
            for name in SIGNED_QUERY:
                only("query parameter", name, request.args.getlist(name))
            toolbox.auth.check_signature(signed[endpoint], request.method, request.args)
            environ[AUTH] = "signature"
        else:
            environ[AUTH] = toolbox.auth.check(environ)
        if (client := client_of(environ)) is not None:
            client.admit()  # From here on its body may be read.
        if endpoint is not None:
            toolbox.check_ready()


def _has_signature() -> bool:
    return SIGNATURE_QUERY in request.args and "Authorization" not in request.headers


def _request_id() -> str:
    """The id the client sent, if it can be sent back, or a new one."""
    if "request_id" not in g:
        sent = request.headers.get("X-Request-Id", "")
        usable = 0 < len(sent) <= MAX_REQUEST_ID and sent.isascii() and sent.isprintable()
        g.request_id = sent if usable else str(uuid.uuid4())
        request.environ[REQUEST_ID] = g.request_id
    return str(g.request_id)


def _after(response: Response) -> Response:
    response.headers["X-Request-Id"] = _request_id()
    return response


def _on_error(error: Exception) -> Response:
    if isinstance(error, RequestRedirect):
        return Response(status=error.code, headers={"Location": error.new_url})
    if isinstance(error, HTTPException):
        if error.code == 404 and (other := _other_slash()):
            return other
        if isinstance(error, WebsocketMismatch):
            error = BadRequest("this path is no WebSocket")
        else:
            error = _from_http_exception(error)
    if isinstance(error, OSError):
        error = from_os_error(error) or error
    if not isinstance(error, ToolboxError):
        log.error("%s %s failed [%s]", *_line(), exc_info=error)
        error = ToolboxError(f"internal error; the log has it under {_request_id()}")
    elif error.status >= 500:
        log.warning("%s %s: %s [%s]", *_line()[:2], error.message, _request_id())
    request.environ[ERROR] = error.code
    if (client := client_of(request.environ)) is not None:
        client.refuse()
    answer = envelope(error, with_slashes(request.path), request.method)
    body = msgspec.json.encode(answer)
    return Response(body, error.status, error.headers, content_type="application/json")


def _line() -> tuple[str, str, str]:
    """What a log line says of the request; never its query, which may hold a token."""
    return request.method, repr(with_slashes(request.path)), _request_id()


def _from_http_exception(error: HTTPException) -> ToolboxError:
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in ("content-type", "content-length")
    }
    if error.code == 405:
        # The API knows no 405: what isn't there by this method isn't there.
        return NotFound(f"there is no {request.method} of this path", headers)
    if error.code == 404:
        return NotFound("no operation has this path; GET /openapi.json lists them all", headers)
    return from_status(error.code or 500, error.description or error.name, headers)


def _other_slash() -> Response | None:
    """A redirect to the same path with or without its last slash, if only that one exists."""
    path = request.path.removesuffix("/") if request.path.endswith("/") else request.path + "/"
    adapter = g.get("_adapter") or _adapter()
    if not path or not adapter.test(path, request.method):
        return None
    query = request.query_string.decode("latin-1")
    location = request.script_root + encoded(path) + (f"?{query}" if query else "")
    return Response(
        status=301 if request.method in ("GET", "HEAD") else 307, headers={"Location": location}
    )


def _adapter() -> Any:
    from flask import current_app

    return current_app.url_map.bind_to_environ(request.environ)


class HandedOff(flask.Response):
    """The response of a request whose socket is no longer the server's.

    It must be of Flask's own kind: any other is turned into that, and would be sent.
    """

    def __call__(self, environ: Any, start_response: Any) -> NoReturn:
        # gunicorn's gthread worker takes this as: close the connection, answer nothing.
        raise StopIteration


class _Entrance:
    """Strips the path prefix, and answers constant operations before Flask is reached."""

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        prefix: str,
        constants: dict[str, tuple[str, bytes]],
    ) -> None:
        self._app = app
        self._prefix = prefix
        self._constants = constants

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if self._prefix and (path + "/").startswith(self._prefix + "/"):
            path = path[len(self._prefix) :] or "/"
            environ["PATH_INFO"] = path
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
        known = self._constants.get(path)
        if known is None or environ["REQUEST_METHOD"] != "GET" or "HTTP_UPGRADE" in environ:
            return self._app(environ, start_response)
        environ[OPERATION], constant = known
        environ[REQUEST_ID] = request_id = str(uuid.uuid4())
        headers = [("Content-Type", JSON), ("Content-Length", str(len(constant)))]
        headers.append(("X-Request-Id", request_id))
        start_response("200 OK", headers)
        return (constant,)

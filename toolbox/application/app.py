"""The WSGI application: a route for each operation, and the steps around every request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
from flask import Flask
from flask import request
from flask.globals import request_ctx
from werkzeug.wrappers import Response

from toolbox.application import core_routes
from toolbox.application.dispatch import Application
from toolbox.application.entrance import Entrance
from toolbox.application.error_responses import error_response
from toolbox.application.request_id import request_id
from toolbox.application.routing import Rest
from toolbox.application.views import GetBackend
from toolbox.application.views import View
from toolbox.application.views import make_socket_view
from toolbox.application.views import make_view
from toolbox.auth import Principal
from toolbox.auth.access import Auth
from toolbox.auth.access import Delegated
from toolbox.auth.signing import SIGNATURE_QUERY
from toolbox.auth.signing import SignatureScheme
from toolbox.auth.signing import scheme_of
from toolbox.errors import BadRequest
from toolbox.errors import Unauthorized
from toolbox.group import Operation
from toolbox.group import flask_rule
from toolbox.http.connection import client_of
from toolbox.http.environ import AUTH
from toolbox.http.environ import OPERATION
from toolbox.http.environ import USER
from toolbox.http.slashes import EncodedSlashes
from toolbox.lifecycle import Toolbox
from toolbox.sockets.handshake import check_handshake


def create_app(toolbox: Toolbox) -> Flask:
    """Return the WSGI application of ``toolbox``. Nothing runs until ``toolbox.start()``."""
    app = Application("toolbox")
    app.extensions["toolbox"] = toolbox
    # Paths of files and of proxied applications may contain "//"; merging would redirect them.
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = Rest
    constants: dict[str, tuple[str, bytes]] = {}
    # By endpoint, so that each request costs a lookup.
    policies: dict[str | None, Policy] = {}
    headers = {group.name: group.token_headers for group in toolbox.groups()}
    for group, operation, backend in _operations(toolbox):
        endpoint = f"{group}.{operation.name}"
        view = make_socket_view if operation.websocket else make_view
        _add_rule(app, operation, endpoint, view(toolbox, operation, backend))
        policies[endpoint] = _policy(group, operation, headers.get(group, ()))
        if operation.constant:
            # Health checks come all the time: they should cost neither routing nor encoding.
            constant = msgspec.json.encode(operation.function(None))
            constants[operation.path] = endpoint, constant
    _add_upgrade_hints(app, toolbox, policies)
    app.before_request(lambda: _before(toolbox, policies))
    app.after_request(_after)
    # For Exception, not HTTPException: bugs get the envelope, too.
    app.register_error_handler(Exception, error_response)
    app.wsgi_app = Entrance(  # type: ignore[method-assign]
        app.wsgi_app, toolbox.settings.server.path_prefix, constants
    )
    # Plugins wrap the entrance, so they see paths with their prefix; EncodedSlashes is outermost,
    # because each layer below reads the path.
    toolbox.registry.hook.toolbox_app(app=app, toolbox=toolbox)
    app.wsgi_app = EncodedSlashes(app.wsgi_app)  # type: ignore[method-assign]
    app.compile_routes()
    return app


class Policy(msgspec.Struct, frozen=True):
    """The conditions under which a request may reach an endpoint; see :class:`Operations`."""

    public: bool = False
    initial: bool = False
    """True if it is public only until a token is set."""
    signed: SignatureScheme | None = None
    delegated: Delegated | None = None
    token_headers: tuple[str, ...] = ()
    monitoring: bool = False


def _policy(group: str, operation: Operation, token_headers: tuple[str, ...]) -> Policy:
    signed = operation.signed
    return Policy(
        public=operation.public and not operation.initial,
        initial=operation.initial,
        signed=scheme_of(group) if isinstance(signed, bool) and signed else signed or None,
        delegated=operation.delegated,
        token_headers=token_headers,
        monitoring=operation.monitoring,
    )


NO_OPERATION = Policy()
"""For paths that no operation has, too: without a token clients don't learn which ones exist."""


def _operations(toolbox: Toolbox) -> Iterator[tuple[str, Operation, GetBackend]]:
    for operation in core_routes.group.operations:
        # The service itself: its own operations need it before any backend exists.
        yield core_routes.group.name, operation, lambda: toolbox
    for served in toolbox.registry.served:
        name = served.group.name
        for operation in served.group.operations:
            yield name, operation, partial(toolbox.backend, name)


def _add_rule(app: Flask, operation: Operation, endpoint: str, view: View) -> None:
    app.add_url_rule(
        flask_rule(operation.path),
        endpoint,
        view,
        methods=list(operation.methods),
        websocket=operation.websocket,
        strict_slashes=not operation.trailing_slash,
        # OPTIONS is not in the API; where a proxied application gets it, the rule has it.
        provide_automatic_options=False,
    )


def _add_upgrade_hints(app: Flask, toolbox: Toolbox, policies: dict[str | None, Policy]) -> None:
    """Respond to a plain GET of a path that is only a WebSocket with an error that explains it."""
    operations = [operation for _, operation, _ in _operations(toolbox)]
    plain = {
        operation.path
        for operation in operations
        if not operation.websocket and "GET" in operation.methods
    }

    def hint(**_: str) -> Response:
        check_handshake(request.environ)
        raise BadRequest("this path is a WebSocket: the Connection header must contain upgrade")

    for operation in operations:
        if operation.websocket and operation.path not in plain:
            endpoint = f"upgrade {operation.path}"
            app.add_url_rule(flask_rule(operation.path), endpoint, hint, methods=["GET"])
            policies[endpoint] = Policy(public=operation.public)


# Around each request


def _before(toolbox: Toolbox, policies: dict[str | None, Policy]) -> None:
    # Authentication first: without it clients don't learn which routes exist.
    asked = request_ctx.request
    endpoint, environ = asked.endpoint, asked.environ
    environ[OPERATION] = endpoint or ""
    policy = policies.get(endpoint, NO_OPERATION)
    # The guard is for browsers: it holds for public operations, too.
    toolbox.guard.check(environ)
    if policy.public or (policy.initial and toolbox.auth.authenticator.is_open):
        return
    client = client_of(environ)
    principal = _authenticate(toolbox.auth, environ, policy)
    # Without one it stays a stranger's here, whatever the other server thinks of it.
    if principal is not None:
        environ[AUTH], environ[USER] = principal.method, principal.user
        if client is not None:
            client.admit()  # From here on its body may be read.
    # After authentication: strangers learn nothing about the state; a 404 needs no backend.
    if endpoint is not None:
        toolbox.check_ready()
    # Last: what was refused is no activity, nor is what needs no token.
    if principal is None or policy.monitoring:
        return
    if client is not None:
        toolbox.activity.enter(client)
    else:
        toolbox.activity.note()  # Under another server nothing tells the end of a request.


def _authenticate(auth: Auth, environ: dict[str, Any], policy: Policy) -> Principal | None:
    """Return who sent the request, None if another server is to judge. Raises Unauthorized."""
    try:
        # A token takes precedence: a client that sends both means its token.
        if (
            policy.signed
            and "HTTP_AUTHORIZATION" not in environ
            and SIGNATURE_QUERY in request.args
        ):
            return auth.authenticate_signed(policy.signed, request.method, request.args)
        return auth.authenticate(environ, policy.token_headers)
    except Unauthorized:
        if policy.delegated is None or not policy.delegated(auth, environ):
            raise
    return None


def _after(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    return response

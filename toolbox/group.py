"""An API group: typed operations over a backend.

An operation is a plain function ``(backend, ...) -> value``. The names and types of its other
arguments determine their values:

``body``
    a struct: the JSON body, decoded and validated; or :class:`toolbox.request.Body`: the raw
    stream, for uploads and multipart bodies.
``query``, ``headers``
    a struct whose fields are the query parameters or headers, by their encoded names.
a name in the path
    that part of the path, as ``str`` or ``int``.
``request``
    the :class:`toolbox.request.RequestInfo`, for the few operations that need method or path.

A struct, list or dict that it returns is sent as JSON, ``None`` as an empty response, and the
classes of :mod:`toolbox.response` are everything else. Errors are raised (:mod:`toolbox.errors`).
The first line of its docstring is the summary in the OpenAPI document, the rest the description.

A WebSocket operation runs before the upgrade, so an error it raises is an HTTP response. It
returns the :class:`toolbox.sockets.handler.SocketHandler` that drives the socket; or a
:class:`toolbox.sockets.handler.ConnectionTakeover` to handle the connection itself; or a Werkzeug
response, which refuses the upgrade.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from typing import Any
from typing import Literal
from typing import TypeVar

import msgspec

from toolbox.annotations import hints_of
from toolbox.auth.access import Delegated
from toolbox.auth.signing import SignatureScheme
from toolbox.errors import ToolboxError
from toolbox.http.envelope import SOURCE
from toolbox.http.envelope import ErrorResponse
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.settings import NoSettings

F = TypeVar("F", bound=Callable[..., Any])
Source = Literal["body", "stream", "query", "headers", "path", "request"]

ErrorWriter = Callable[[ToolboxError, str], bytes]
"""Returns the JSON body for an error at a path."""

_IN_PATH = re.compile(r"\{(\w+)(:path)?\}")


class Argument(msgspec.Struct, frozen=True):
    """One argument of an operation, and the source of its value."""

    name: str
    source: Source
    type: Any


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: its route, its arguments and its responses."""

    name: str
    path: str
    methods: tuple[str, ...]
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    returns: Any
    summary: str
    description: str
    status: int
    errors: tuple[type[ToolboxError], ...]
    public: bool
    signed: bool | SignatureScheme
    delegated: Delegated | None
    websocket: bool
    constant: bool
    monitoring: bool
    max_body: int | None
    trailing_slash: bool
    content_type: str
    other_statuses: tuple[int, ...]

    def argument(self, *sources: Source) -> Argument | None:
        """Return the first argument that comes from one of ``sources``, or None."""
        return next((found for found in self.arguments if found.source in sources), None)

    @property
    def initial(self) -> bool:
        """Report whether it is public only until there is a token: it takes a body."""
        return self.public and self.argument("body", "stream") is not None


class Operations:
    """The operations of one module, registered by decorators, for its group to include.

    A group with several modules of operations has one of these in each, so that no module imports
    the group, and includes them all::

        group = Group("greeter", backend=Greeter, default_backend="local")
        group.include(hello.operations, goodbye.operations)

    The options of an operation:

    ``path`` is written as in OpenAPI: ``/port/{port}/in-use``. ``{rest:path}``, at the end,
    matches the rest of the path, slashes too, and may be empty. ``public`` operations need no
    token; if they take a body, only until a token is set, since unauthenticated bodies are not
    read. ``signed`` ones need none if the URL carries a signature for its query parameter ``path``
    (:mod:`toolbox.auth.signing`), or with a scheme of another service for what that one signs.
    ``delegated(auth, environ)`` lets a request in that carries no
    valid credential, if it returns true: another server judges it then. ``constant`` promises a
    response that never changes and depends on no argument, so it is made once. ``monitoring`` ones
    are called by monitors all the time, and are no activity of a client (``GET /x/activity``).
    ``max_body`` overrides ``[server] max_body``. ``trailing_slash`` serves the path with a slash at
    the end, too, instead of redirecting.
    ``returns`` is the type of the JSON response if the function returns one of
    :mod:`toolbox.response`; ``content_type`` is that of a response that isn't JSON, for the OpenAPI
    document. ``other_statuses`` are those that a success can have in addition to ``status``.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def operation(
        self,
        path: str,
        *methods: str,
        status: int = 200,
        errors: tuple[type[ToolboxError], ...] = (),
        public: bool = False,
        signed: bool | SignatureScheme = False,
        delegated: Delegated | None = None,
        returns: Any = None,
        constant: bool = False,
        monitoring: bool = False,
        max_body: int | None = None,
        trailing_slash: bool = False,
        content_type: str = "",
        websocket: bool = False,
        other_statuses: tuple[int, ...] = (),
    ) -> Callable[[F], F]:
        """Register a function as the operation ``methods path``; see the class for the options."""

        def register(function: F) -> F:
            hints = hints_of(function)
            self.operations.append(
                Operation(
                    name=function.__name__,
                    path=path,
                    methods=methods,
                    function=function,
                    arguments=_arguments(function, path, hints),
                    returns=returns or hints.get("return"),
                    **_documentation(function),
                    status=status,
                    errors=errors,
                    public=public,
                    signed=signed,
                    delegated=delegated,
                    websocket=websocket,
                    constant=constant,
                    monitoring=monitoring,
                    max_body=max_body,
                    trailing_slash=trailing_slash,
                    content_type=content_type,
                    other_statuses=other_statuses,
                )
            )
            return function

        return register

    def get(self, path: str, **options: Any) -> Callable[[F], F]:
        """Register a GET operation; see :meth:`operation`."""
        return self.operation(path, "GET", **options)

    def post(self, path: str, **options: Any) -> Callable[[F], F]:
        """Register a POST operation; see :meth:`operation`."""
        return self.operation(path, "POST", **options)

    def put(self, path: str, **options: Any) -> Callable[[F], F]:
        """Register a PUT operation; see :meth:`operation`."""
        return self.operation(path, "PUT", **options)

    def patch(self, path: str, **options: Any) -> Callable[[F], F]:
        """Register a PATCH operation; see :meth:`operation`."""
        return self.operation(path, "PATCH", **options)

    def delete(self, path: str, **options: Any) -> Callable[[F], F]:
        """Register a DELETE operation; see :meth:`operation`."""
        return self.operation(path, "DELETE", **options)

    def websocket(self, path: str, **options: Any) -> Callable[[F], F]:
        """Register a WebSocket operation; a plain GET may share its path. See :meth:`operation`."""
        return self.operation(path, "GET", websocket=True, status=101, **options)


class Group(Operations):
    """The operations of one API group.

    ``backend`` is the Protocol of its backends, ``default_backend`` the name of the one to use if
    the settings name none, and ``settings`` the struct of the group's settings, which every backend
    finds in its context. They are set in the table ``[section]``, by default ``[name]``.

    ``root`` is a path below which there are only operations of this group, such as ``/api``. Errors
    there, those of the router and for a missing token, too, have ``error_source`` as their source:
    a group that speaks another service's API needs that service's (:mod:`toolbox.http.envelope`).
    One whose errors have another form altogether writes them itself, by ``error_writer``;
    ``error_types`` are the structs of their bodies, for the OpenAPI document.

    ``token_headers`` are headers in which clients of that service send the token, bare. They count
    for the operations of this group only, and before ``Authorization``.
    """

    def __init__(
        self,
        name: str,
        *,
        backend: type[Any],
        default_backend: str,
        settings: type[msgspec.Struct] = NoSettings,
        section: str = "",
        summary: str = "",
        root: str = "",
        error_source: str = SOURCE,
        error_writer: ErrorWriter | None = None,
        error_types: tuple[type[msgspec.Struct], ...] = (ErrorResponse,),
        token_headers: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.root = root
        self.error_source = error_source
        self.error_writer = error_writer
        self.error_types = error_types
        self.token_headers = token_headers
        self.section = section or name
        self.backend = backend
        self.default_backend = default_backend
        self.settings = settings
        self.summary = summary
        super().__init__()

    def include(self, *modules: Operations) -> None:
        """Add the operations of other modules, in the order they were registered.

        Raises ValueError if a module was included before it registered any, or twice.
        """
        for module in modules:
            if not module.operations or module.operations[0] in self.operations:
                raise ValueError(f"group {self.name}: empty operations, or included twice")
            self.operations += module.operations


def _documentation(function: Callable[..., Any]) -> dict[str, str]:
    summary, _, description = (inspect.getdoc(function) or "").partition("\n")
    return {"summary": summary.strip(), "description": description.strip()}


def _arguments(
    function: Callable[..., Any], path: str, hints: dict[str, Any]
) -> tuple[Argument, ...]:
    in_path = {match[1] for match in _IN_PATH.finditer(path)}
    code = inspect.unwrap(function).__code__  # inspect.signature() takes 40 us.
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    if absent := in_path.difference(names):
        raise TypeError(
            f"{function.__name__} lacks an argument {absent.pop()!r}, which is in {path}"
        )
    return tuple(Argument(name, _source(name, hints[name], in_path), hints[name]) for name in names)


def _source(name: str, kind: Any, in_path: set[str]) -> Source:
    if name in in_path:
        return "path"
    if kind is Body:
        return "stream"
    if kind is RequestInfo:
        return "request"
    if name in ("body", "query", "headers"):
        return typing.cast(Source, name)
    raise TypeError(f"argument {name!r} is not in the path, nor body, query or headers")


def flask_rule(path: str) -> str:
    """Return an OpenAPI path in Werkzeug's syntax."""
    return _IN_PATH.sub(lambda match: f"<{'rest:' if match[2] else ''}{match[1]}>", path)


def openapi_path(path: str) -> str:
    """Return the path without our ``:path`` marks."""
    return _IN_PATH.sub(r"{\1}", path)

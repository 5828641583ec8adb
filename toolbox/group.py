"""An API group: typed operations over a backend.

An operation is a plain function ``(backend, ...) -> value``. What else it takes is told by the
names of its arguments and their types:

``body``
    a struct: the JSON body, decoded and validated; or :class:`toolbox.request.Body`: the raw
    stream, for uploads and multipart.
``query``, ``headers``
    a struct whose fields are the query parameters, or the headers, by their encoded names.
a name in the path
    that part of the path, as ``str`` or ``int``.
``request``
    the :class:`toolbox.request.RequestInfo`, for the few that need method or path themselves.

A struct, list or dict it returns is the JSON answer, ``None`` an empty one, and the classes of
:mod:`toolbox.response` are everything else. Errors are raised (:mod:`toolbox.errors`). The first
line of its docstring is its summary in the OpenAPI document, the rest its description.

A WebSocket operation runs before the upgrade, so an error it raises is a real HTTP answer. It
returns the :class:`toolbox.websocket.SocketHandler` that drives the socket; or a
:class:`toolbox.handoff.TakeOver` to speak with the client itself; or a Werkzeug response, which
refuses the upgrade in its own words.
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

from toolbox.errors import ToolboxError
from toolbox.request import Body
from toolbox.request import RequestInfo

F = TypeVar("F", bound=Callable[..., Any])
Source = Literal["body", "stream", "query", "headers", "path", "request"]

_IN_PATH = re.compile(r"\{(\w+)(:path)?\}")


class NoOptions(msgspec.Struct, frozen=True):
    """For a group without options of its own."""


class Argument(msgspec.Struct, frozen=True):
    """One argument of an operation and where its value comes from."""

    name: str
    source: Source
    type: Any


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: what it is called by, what it takes and what it answers."""

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
    signed: bool
    websocket: bool
    constant: bool
    max_body: int | None
    trailing_slash: bool
    content_type: str
    other_statuses: tuple[int, ...]

    def argument(self, *sources: Source) -> Argument | None:
        """The first argument that comes from one of ``sources``."""
        return next((each for each in self.arguments if each.source in sources), None)

    @property
    def initial(self) -> bool:
        """Whether it is public only while there is no token: it takes a body."""
        return self.public and self.argument("body", "stream") is not None


class Group:
    """The operations of one API group.

    ``backend`` is the Protocol its backends fulfil, ``default_backend`` the name of the one used
    when the settings name none, ``settings`` the struct of the group's own options, which every
    backend finds in its context. They are set in the table ``[section]``, by default ``[name]``.
    """

    def __init__(
        self,
        name: str,
        *,
        backend: type[Any],
        default_backend: str,
        settings: type[msgspec.Struct] = NoOptions,
        section: str = "",
        summary: str = "",
    ) -> None:
        self.name = name
        self.section = section or name
        self.backend = backend
        self.default_backend = default_backend
        self.settings = settings
        self.summary = summary
        self.operations: list[Operation] = []

    def operation(
        self,
        path: str,
        *methods: str,
        status: int = 200,
        errors: tuple[type[ToolboxError], ...] = (),
        public: bool = False,
        signed: bool = False,
        answers: Any = None,
        constant: bool = False,
        max_body: int | None = None,
        trailing_slash: bool = False,
        content_type: str = "",
        websocket: bool = False,
        other_statuses: tuple[int, ...] = (),
    ) -> Callable[[F], F]:
        """Register a function as the operation ``methods path``.

        ``path`` is written as in OpenAPI: ``/port/{port}/in-use``; ``{rest:path}``, at the end,
        takes all that is left, slashes too, and may be empty.
        ``public`` operations need no token; one that takes a body does as soon as there is a token
        at all, since bodies of strangers are not read. ``signed`` ones need none if the URL
        carries a signature for its query parameter ``path`` (:mod:`toolbox.signing`). ``constant``
        promises that the answer never changes and needs no argument, so it is made once.
        ``max_body`` overrides ``[server] max_body``. ``trailing_slash`` answers the path with a
        slash at its end too, instead of redirecting. ``answers`` is the type of the JSON answer,
        for a function that returns one of :mod:`toolbox.response`; ``content_type`` is what the
        OpenAPI document says of an answer that isn't JSON. ``other_statuses`` are those that a
        success can have beside ``status``.
        """

        def register(function: F) -> F:
            self.operations.append(
                Operation(
                    name=function.__name__,
                    path=path,
                    methods=methods,
                    function=function,
                    arguments=_arguments(function, path),
                    returns=answers or _hints(function).get("return"),
                    **_documentation(function),
                    status=status,
                    errors=errors,
                    public=public,
                    signed=signed,
                    websocket=websocket,
                    constant=constant,
                    max_body=max_body,
                    trailing_slash=trailing_slash,
                    content_type=content_type,
                    other_statuses=other_statuses,
                )
            )
            return function

        return register

    def get(self, path: str, **options: Any) -> Callable[[F], F]:
        """A GET operation; see :meth:`operation`."""
        return self.operation(path, "GET", **options)

    def post(self, path: str, **options: Any) -> Callable[[F], F]:
        """A POST operation; see :meth:`operation`."""
        return self.operation(path, "POST", **options)

    def put(self, path: str, **options: Any) -> Callable[[F], F]:
        """A PUT operation; see :meth:`operation`."""
        return self.operation(path, "PUT", **options)

    def patch(self, path: str, **options: Any) -> Callable[[F], F]:
        """A PATCH operation; see :meth:`operation`."""
        return self.operation(path, "PATCH", **options)

    def delete(self, path: str, **options: Any) -> Callable[[F], F]:
        """A DELETE operation; see :meth:`operation`."""
        return self.operation(path, "DELETE", **options)

    def websocket(self, path: str, **options: Any) -> Callable[[F], F]:
        """A WebSocket operation; see :meth:`operation`. A plain GET may live on the same path."""
        return self.operation(path, "GET", websocket=True, status=101, **options)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function, include_extras=True)


def _documentation(function: Callable[..., Any]) -> dict[str, str]:
    summary, _, description = (inspect.getdoc(function) or "").partition("\n")
    return {"summary": summary.strip(), "description": description.strip()}


def _arguments(function: Callable[..., Any], path: str) -> tuple[Argument, ...]:
    in_path = {match[1] for match in _IN_PATH.finditer(path)}
    hints = _hints(function)
    names = list(inspect.signature(function).parameters)[1:]
    if absent := in_path.difference(names):
        raise TypeError(f"{function.__name__} takes no {absent.pop()!r}, which is in {path}")
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
    raise TypeError(f"argument {name!r} is neither in the path nor body, query or headers")


def flask_rule(path: str) -> str:
    """An OpenAPI path as Werkzeug writes it."""
    return _IN_PATH.sub(lambda match: f"<{'rest:' if match[2] else ''}{match[1]}>", path)


def openapi_path(path: str) -> str:
    """The path without our ``:path`` marks."""
    return _IN_PATH.sub(r"{\1}", path)

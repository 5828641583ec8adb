"""Procedures as operations: a message in, a message or a stream of them out."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from typing import TypeVar

import msgspec

from toolbox.errors import ToolboxError
from toolbox.errors import UnsupportedMediaType
from toolbox.group import Operations
from toolbox.http.connection import client_of
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.request import decode_json
from toolbox.request import media_type
from toolbox.request import prepare
from toolbox.response import StreamResponse
from toolbox.response import TextResponse
from toolbox_e2b.connect.call import Call
from toolbox_e2b.connect.call import call_of
from toolbox_e2b.connect.frames import LONGEST
from toolbox_e2b.connect.frames import read_frames
from toolbox_e2b.connect.protocol import HasStreams
from toolbox_e2b.connect.streams import Events
from toolbox_e2b.connect.streams import Frames
from toolbox_e2b.connect.streams import failed
from toolbox_e2b.errors import ROOT
from toolbox_e2b.errors import Compressed
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.errors import NoSuchProcedure

UNARY = "application/json"
STREAM = "application/connect+json"

M = TypeVar("M", bound=msgspec.Struct)
Unary = Callable[[Any, M, Call], msgspec.Struct | None]
ServerStream = Callable[[Any, M, Call], Events]
ClientStream = Callable[[Any, Iterator[M], Call], None]


class Empty(msgspec.Struct, frozen=True):
    """A message without fields."""


class Procedures:
    """The procedures of one service, such as ``process.Process``, added to ``operations``."""

    def __init__(self, operations: Operations, service: str) -> None:
        self._operations = operations
        self._root = f"{ROOT}/{service}"
        operations.post(f"{self._root}/{{procedure:path}}")(_no_procedure(service))

    def unary(self, name: str, kind: type[M]) -> Callable[[Unary[M]], Unary[M]]:
        """Register a procedure that takes one message and returns one, or None for an empty one."""
        prepare(kind)

        def register(function: Unary[M]) -> Unary[M]:
            def operation(backend: HasStreams, request: RequestInfo, body: Body) -> TextResponse:
                _check_type(body, UNARY)
                if request.headers.get("Content-Encoding", "identity") != "identity":
                    raise Compressed("compressed messages are not supported")
                # Before the body is read: a refused call needs no message.
                call = call_of(request, backend.stopping)
                message = decode_json(body.read_all(LONGEST), kind)
                result = function(backend, message, call)
                return TextResponse(msgspec.json.encode(result or Empty()), UNARY)

            self._add(name, function, operation)
            return function

        return register

    def streaming(self, name: str, kind: type[M]) -> Callable[[ServerStream[M]], ServerStream[M]]:
        """Register a procedure that takes one message and returns a stream of them."""
        prepare(kind)

        def register(function: ServerStream[M]) -> ServerStream[M]:
            def operation(backend: HasStreams, request: RequestInfo, body: Body) -> StreamResponse:
                _check_type(body, STREAM)

                def events() -> Events:
                    return function(
                        backend, _only(read_frames(body), kind), call_of(request, backend.stopping)
                    )

                return _stream(backend, request, body, events)

            self._add(name, function, operation)
            return function

        return register

    def receiving(self, name: str, kind: type[M]) -> Callable[[ClientStream[M]], ClientStream[M]]:
        """Register a procedure that takes a stream of messages and returns an empty one."""
        prepare(kind)

        def register(function: ClientStream[M]) -> ClientStream[M]:
            def operation(backend: HasStreams, request: RequestInfo, body: Body) -> StreamResponse:
                _check_type(body, STREAM)

                def events() -> Events:
                    messages = (decode_json(data, kind) for data in read_frames(body))
                    function(backend, messages, call_of(request, backend.stopping))
                    return _one(Empty())

                return _stream(backend, request, body, events)

            self._add(name, function, operation)
            return function

        return register

    def _add(self, name: str, function: Callable[..., Any], operation: Callable[..., Any]) -> None:
        operation.__name__ = function.__name__
        operation.__doc__ = function.__doc__
        self._operations.post(f"{self._root}/{name}", content_type=UNARY)(operation)


def _no_procedure(service: str) -> Callable[[HasStreams, str], None]:
    def refuse_procedure(backend: HasStreams, procedure: str) -> None:
        """Refuse a procedure that there is not."""
        raise NoSuchProcedure(f"{service} has no procedure {procedure[:64]!r}")

    refuse_procedure.__name__ = f"refuse_{service.lower().replace('.', '_')}"
    return refuse_procedure


def _stream(
    backend: HasStreams, request: RequestInfo, body: Body, events: Callable[[], Events]
) -> StreamResponse:
    leave: Callable[[], object] = bool
    try:
        leave = backend.enter_stream()
        made = events()
    except ToolboxError as error:
        # Clients read the code of a stream's error in its last frame only.
        made = failed(error)
        _leave_nothing(request, body)
    except BaseException:
        leave()
        raise
    return StreamResponse(Frames(made, request.environ, leave), STREAM)


def _leave_nothing(request: RequestInfo, body: Body) -> None:
    """Read the rest of the body: it would be taken for the connection's next request."""
    if body.length is not None:
        with suppress(ToolboxError):
            body.drain()
    elif (client := client_of(request.environ)) is not None:
        # A stream of input may go on for hours, so the connection ends instead.
        client.refuse()


def _one(message: msgspec.Struct) -> Events:
    yield message


def _only(messages: Iterator[bytes], kind: type[M]) -> M:
    found = list(_at_most_two(messages))
    if len(found) != 1:
        raise InvalidArgument("the request must have one message")
    message: M = decode_json(found[0], kind)
    return message


def _at_most_two(messages: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the messages; the third and those after it are read and dropped."""
    for count, message in enumerate(messages):
        if count < 2:
            yield message


def _check_type(body: Body, wanted: str) -> None:
    if media_type(body.content_type) != wanted:
        raise UnsupportedMediaType(f"the content type must be {wanted}")

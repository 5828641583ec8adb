"""JSON-RPC 2.0, as far as the Model Context Protocol uses it."""

from __future__ import annotations

from typing import Any
from typing import Literal

import msgspec

from toolbox.errors import ToolboxError
from toolbox.http.decoding import decode

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
RESOURCE_NOT_FOUND = -32002
"""Of revisions before 2026-07-28, which has INVALID_PARAMS instead."""

STATUSES = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    UNSUPPORTED_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""HTTP statuses of errors since 2026-07-28. Before, what a method raises has status 200."""

MAX_ID = 1000
"""Characters of a request's id, which every response repeats."""

Id = str | int | None


class RpcError(Exception):
    """An error of the protocol, such as an unknown method; a tool that fails is none."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = ToolboxError.hide(message)
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """Return the object ``error`` of a response."""
        found = {"code": self.code, "message": self.message}
        return found if self.data is None else {**found, "data": self.data}


class ErrorObject(msgspec.Struct, frozen=True):
    """The member ``error`` of a response."""

    code: int
    message: str
    data: Any = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True):
    """A response with an error, as the OpenAPI document describes it."""

    jsonrpc: Literal["2.0"]
    id: Id
    error: ErrorObject


class Message(msgspec.Struct, frozen=True):
    """A request, or without an id a notification."""

    id: Id
    method: str
    params: dict[str, Any]


class Reply(msgspec.Struct, frozen=True):
    """A result or an error that a client sent, although it was asked for nothing."""


def parse(data: bytes) -> Message | Reply:
    """Return a client's message. Raises RpcError."""
    try:
        tree = decode(data, Any)
    except msgspec.DecodeError as error:
        raise RpcError(PARSE_ERROR, f"the message is not valid JSON: {error}") from None
    if isinstance(tree, list):
        raise RpcError(INVALID_REQUEST, "batches are not supported: send one message at a time")
    if not isinstance(tree, dict) or tree.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'a message is an object with "jsonrpc": "2.0"')
    if "method" not in tree and ("result" in tree or "error" in tree):
        return Reply()
    return _message(tree)


def _message(tree: dict[str, Any]) -> Message:
    method, params = tree.get("method"), tree.get("params", {})
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "method must be a string")
    if "id" in tree and not is_id(tree["id"]):
        raise RpcError(INVALID_REQUEST, "id must be a string or an integer, and not too long")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params must be an object")
    return Message(tree.get("id"), method, params)


def id_of(data: bytes) -> Id:
    """Return the id of a message that is otherwise refused, None if it has none."""
    try:
        tree = decode(data, Any)
    except msgspec.DecodeError:
        return None
    found = tree.get("id") if isinstance(tree, dict) else None
    return found if is_id(found) else None


def is_id(value: Any) -> bool:
    """Report whether ``value`` may be the id of a request."""
    if isinstance(value, str):
        return len(value) <= MAX_ID
    # Of 64 bits, as the integers of this API.
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def result_of(identifier: Id, result: Any) -> dict[str, Any]:
    """Return a response."""
    return {"jsonrpc": "2.0", "id": identifier, "result": result}


def error_of(identifier: Id, error: RpcError) -> dict[str, Any]:
    """Return a response that is an error."""
    return {"jsonrpc": "2.0", "id": identifier, "error": error.as_json()}


def text_of(params: dict[str, Any], name: str) -> str:
    """Return a required text of ``params``. Raises RpcError."""
    value = params.get(name)
    if not isinstance(value, str):
        raise RpcError(INVALID_PARAMS, f"params.{name} must be a string")
    return value


def object_of(params: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object of ``params``, which may be absent. Raises RpcError."""
    value = params.get(name)
    if value is not None and not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, f"params.{name} must be an object")
    return value or {}

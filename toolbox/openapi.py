"""The OpenAPI 3.1 document, made from the same structs that validate requests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from toolbox import __version__
from toolbox.errors import SOURCE
from toolbox.errors import ErrorResponse
from toolbox.group import Argument
from toolbox.group import Group
from toolbox.group import Operation
from toolbox.group import openapi_path
from toolbox.response import FileAnswer
from toolbox.response import MultipartAnswer
from toolbox.response import StreamAnswer
from toolbox.response import TextAnswer
from toolbox.signing import SIGNATURE_QUERY

_REFERENCE = "#/components/schemas/{name}"
_DESCRIBABLE = frozenset(("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"))
"""The methods a path item has room for: a proxy takes more of them."""
_CONTENT_TYPES = {
    FileAnswer: "*/*",  # That of the file, or what the operation makes.
    StreamAnswer: "*/*",
    TextAnswer: "text/*",
    MultipartAnswer: "multipart/form-data",
}


def document(groups: Iterable[Group]) -> dict[str, Any]:
    """The document that describes every operation of ``groups``."""
    groups = list(groups)
    kinds = [ErrorResponse, *_json_types(groups)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for group in groups:
        # The plain ones first: a path that is also a WebSocket is described by both.
        for operation in sorted(group.operations, key=lambda operation: operation.websocket):
            item = paths.setdefault(openapi_path(operation.path), {})
            for method in filter(_DESCRIBABLE.__contains__, operation.methods):
                described = _operation(group, operation, method, schema_of)
                if operation.websocket and method.lower() in item:
                    _add_upgrade(item[method.lower()], described)
                else:
                    item[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sandbox Toolbox", "version": __version__},
        "security": [{"bearer": []}],
        "tags": [{"name": group.name, "description": group.summary} for group in groups],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "signature": {"type": "apiKey", "in": "query", "name": SIGNATURE_QUERY},
            },
        },
    }


def _json_types(groups: list[Group]) -> list[Any]:
    kinds: list[Any] = []
    for operation in (operation for group in groups for operation in group.operations):
        body = operation.argument("body")
        if body is not None:
            kinds.append(body.type)
        if _is_json(operation.returns):
            kinds.append(operation.returns)
    return kinds


def _is_json(kind: Any) -> bool:
    if kind is None or kind is type(None) or kind in _CONTENT_TYPES:
        return False
    try:
        msgspec.json.schema_components([kind])
    except TypeError:
        return False
    return True


def _operation(
    group: Group, operation: Operation, method: str, schema_of: dict[int, Any]
) -> dict[str, Any]:
    several = len(operation.methods) > 1
    described: dict[str, Any] = {
        "operationId": f"{operation.name}_{method.lower()}" if several else operation.name,
        "tags": [group.name],
        "summary": operation.summary.replace("``", ""),  # Plain text; a description has markup.
        "parameters": _parameters(operation),
        "responses": _responses(operation, schema_of),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.initial:
        described["security"] = [{"bearer": []}, {}]
    elif operation.public:
        described["security"] = []
    elif operation.signed:
        described["security"] = [{"bearer": []}, {"signature": []}]
    body = operation.argument("body")
    if body is not None:
        content = {"application/json": {"schema": schema_of[id(body.type)]}}
        described["requestBody"] = {"required": True, "content": content}
    elif operation.argument("stream") is not None:
        kinds = ("application/octet-stream", "multipart/form-data")
        described["requestBody"] = {"content": {kind: {"schema": {}} for kind in kinds}}
    return described


def _add_upgrade(plain: dict[str, Any], upgrade: dict[str, Any]) -> None:
    """Tell of a plain operation what it takes and answers as a WebSocket."""
    known = {(each["in"], each["name"]) for each in plain["parameters"]}
    plain["parameters"] += [
        each for each in upgrade["parameters"] if (each["in"], each["name"]) not in known
    ]
    plain["responses"] = upgrade["responses"] | plain["responses"]


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for argument in operation.arguments:
        if argument.source == "path":
            parameters.append(
                {
                    "name": argument.name,
                    "in": "path",
                    "required": True,
                    "schema": msgspec.json.schema(argument.type),
                }
            )
        elif argument.source in ("query", "headers"):
            parameters += _fields(argument)
    return parameters


def _fields(argument: Argument) -> list[dict[str, Any]]:
    """A parameter for each field of a struct of query parameters or headers."""
    schema = msgspec.json.schema(argument.type)
    schema = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    parameters = []
    for name, described in schema.get("properties", {}).items():
        described = dict(described)
        parameter = {
            "name": name,
            "in": "query" if argument.source == "query" else "header",
            "required": name in schema.get("required", ()),
            "schema": described,
        }
        if text := described.pop("description", ""):
            parameter["description"] = text
        parameters.append(parameter)
    return parameters


def _responses(operation: Operation, schema_of: dict[int, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary or "Success"}
    if operation.returns in _CONTENT_TYPES:
        content_type = operation.content_type or _CONTENT_TYPES[operation.returns]
        success["content"] = {content_type: {"schema": {}}}
    elif id(operation.returns) in schema_of:
        success["content"] = {"application/json": {"schema": schema_of[id(operation.returns)]}}
    responses: dict[str, Any] = {
        str(status): success for status in (operation.status, *operation.other_statuses)
    }
    statuses: dict[int, list[str]] = {}
    for error in operation.errors:
        statuses.setdefault(error.status, []).append(error.code)
    for status, codes in sorted(statuses.items()):
        responses[str(status)] = _error(f"{', '.join(codes)} from {SOURCE}")
    responses["default"] = _error("Any other error")
    return responses


def _error(description: str) -> dict[str, Any]:
    reference = _REFERENCE.format(name=ErrorResponse.__name__)
    return {
        "description": re.sub(r"\s+", " ", description),
        "content": {"application/json": {"schema": {"$ref": reference}}},
    }

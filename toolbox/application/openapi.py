"""The OpenAPI 3.1 document, made from the same structs that validate requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import msgspec

from toolbox import __version__
from toolbox.auth.signing import SCHEME as SIGNATURE
from toolbox.group import Argument
from toolbox.group import Group
from toolbox.group import Operation
from toolbox.group import openapi_path
from toolbox.response import FileResponse
from toolbox.response import MultipartResponse
from toolbox.response import StreamResponse
from toolbox.response import TextResponse

_REFERENCE = "#/components/schemas/{name}"
_DESCRIBABLE = frozenset(("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"))
"""The methods that a path item can describe; a proxy accepts more."""
_CONTENT_TYPES = {
    FileResponse: "*/*",  # The file's type, or one that the operation chooses.
    StreamResponse: "*/*",
    TextResponse: "text/*",
    MultipartResponse: "multipart/form-data",
}


Schemes = Mapping[str, Mapping[str, Any]]


def document(groups: Iterable[Group], schemes: Schemes) -> dict[str, Any]:
    """Return the document that describes every operation of ``groups``.

    ``schemes`` are the security schemes of the authenticator, any of which suffices.
    """
    groups = list(groups)
    security: list[dict[str, Any]] = [{scheme: []} for scheme in schemes]
    kinds = [*_error_types(groups), *_json_types(groups)]
    schemas, components = _without_modules(
        *msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    )
    schema_of = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for group in groups:
        # Plain ones first: a path that is also a WebSocket gets one description of both.
        for operation in sorted(group.operations, key=lambda operation: operation.websocket):
            item = paths.setdefault(openapi_path(operation.path), {})
            for method in filter(_DESCRIBABLE.__contains__, operation.methods):
                described = _operation(group, operation, method, schema_of)
                described |= _security(operation, security)
                if operation.websocket and method.lower() in item:
                    _add_upgrade(item[method.lower()], described)
                else:
                    item[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sandbox Toolbox", "version": __version__},
        "security": security,
        "tags": [{"name": group.name, "description": group.summary} for group in groups],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {**schemes, "signature": SIGNATURE},
        },
    }


def _without_modules(schemas: Any, components: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Name schemas that share a class name by package and class, where that is unique.

    msgspec names them by module, too, so generated clients would change when a module moves.
    """
    short = {name: re.sub(r"\..*\.", ".", name) for name in components}
    count = Counter(short.values())
    names = {name: new if count[new] == 1 else name for name, new in short.items()}
    references = {
        _REFERENCE.format(name=name): _REFERENCE.format(name=names[name]) for name in names
    }
    renamed = {names[name]: _replaced(schema, references) for name, schema in components.items()}
    return _replaced(schemas, references), renamed


def _replaced(value: Any, strings: Mapping[str, str]) -> Any:
    """Return a copy of a JSON value in which ``strings`` are replaced."""
    if isinstance(value, dict):
        return {key: _replaced(item, strings) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, strings) for item in value]
    return strings.get(value, value) if isinstance(value, str) else value


def _error_types(groups: list[Group]) -> list[Any]:
    # Each once: the schema of a type is found by its identity.
    return list({id(kind): kind for group in groups for kind in group.error_types}.values())


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
    # Only msgspec knows what it can describe: Werkzeug responses and handlers of sockets it can't.
    try:
        msgspec.json.schema_components([kind])
    except TypeError:
        return False
    return True


def _operation(
    group: Group, operation: Operation, method: str, schema_of: dict[int, Any]
) -> dict[str, Any]:
    # An operationId is unique (OpenAPI 3.1, 4.8.10), and clients generate names of it.
    several = len(operation.methods) > 1
    described: dict[str, Any] = {
        "operationId": f"{operation.name}_{method.lower()}" if several else operation.name,
        "tags": [group.name],
        "summary": operation.summary.replace("``", ""),  # Plain text; a description has markup.
        "parameters": _parameters(operation),
        "responses": _responses(group, operation, schema_of),
    }
    if operation.description:
        described["description"] = operation.description
    body = operation.argument("body")
    if body is not None:
        content = {"application/json": {"schema": schema_of[id(body.type)]}}
        described["requestBody"] = {"required": True, "content": content}
    elif operation.argument("stream") is not None:
        kinds = ("application/octet-stream", "multipart/form-data")
        described["requestBody"] = {"content": {kind: {"schema": {}} for kind in kinds}}
    return described


def _security(operation: Operation, security: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how an operation differs from the others in what it requires."""
    if operation.initial:
        return {"security": [*security, {}]}
    if operation.public:
        return {"security": []}
    if operation.signed:
        return {"security": [*security, {"signature": []}]}
    return {}


def _add_upgrade(plain: dict[str, Any], upgrade: dict[str, Any]) -> None:
    """Add the parameters and responses of a WebSocket to a plain operation on the same path."""
    known = {(found["in"], found["name"]) for found in plain["parameters"]}
    plain["parameters"] += [
        added for added in upgrade["parameters"] if (added["in"], added["name"]) not in known
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
    """Return a parameter for each field of a struct of query parameters or headers."""
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


def _responses(group: Group, operation: Operation, schema_of: dict[int, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary or "Success"}
    if operation.returns in _CONTENT_TYPES:
        content_type = operation.content_type or _CONTENT_TYPES[operation.returns]
        success["content"] = {content_type: {"schema": {}}}
    elif id(operation.returns) in schema_of:
        success["content"] = {"application/json": {"schema": schema_of[id(operation.returns)]}}
    responses: dict[str, Any] = {str(operation.status): success}
    kinds = [schema_of[id(kind)] for kind in group.error_types]
    for status in operation.other_statuses:
        responses[str(status)] = success if status < 400 else _error("An error", kinds)
    statuses: dict[int, list[str]] = {}
    for error in operation.errors:
        statuses.setdefault(error.status, []).append(error.code)
    for status, codes in sorted(statuses.items()):
        responses[str(status)] = _error(f"{', '.join(codes)} from {group.error_source}", kinds)
    responses["default"] = _error("Any other error", kinds)
    return responses


def _error(description: str, kinds: list[Any]) -> dict[str, Any]:
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {
        "description": re.sub(r"\s+", " ", description),
        "content": {"application/json": {"schema": schema}},
    }

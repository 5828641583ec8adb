"""The decoding of query parameters, headers and path parts into an operation's arguments."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.datastructures import MultiDict

from toolbox.errors import BadRequest
from toolbox.http.decoding import convert_text
from toolbox.http.decoding import only

T = TypeVar("T")


def decode_query(arguments: MultiDict[str, str], kind: type[T]) -> T:
    """Decode the query parameters as ``kind``. Names match in any case; unknown ones are ignored.

    An empty value counts as absent if the parameter is optional and can't be empty. Raises
    BadRequest, also for a duplicate.
    """
    # In any case, as the keys of JSON: clients were written against Go's decoder.
    names = {field.encode_name.lower(): field.encode_name for field in _fields(kind)}
    found: dict[str, list[str]] = {}
    for name, values in arguments.lists():
        found.setdefault(names.get(name.lower(), name), []).extend(values)
    given = {field.encode_name: found.get(field.encode_name, []) for field in _fields(kind)}
    for field in _fields(kind):
        if given[field.encode_name] == [""] and _means_none(field):
            del given[field.encode_name]
    return _decode_text(given, kind, "query parameter")


def _fields(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _means_none(field: msgspec.structs.FieldInfo) -> bool:
    """Report whether an empty value can only mean the default.

    It can't for a flag, since a bare ``?recursive`` might mean true, nor for a choice of words.
    """
    if field.required or _is_kind(bool, field.type) or _is_kind(typing.Literal, field.type):
        return False
    # An optional text: no parameter of the API distinguishes an empty one from an absent one.
    if isinstance(field.default, str):
        return True
    try:
        msgspec.convert("", field.type, strict=False)
    except msgspec.ValidationError:
        return True
    return False


def decode_headers(headers: Headers, kind: type[T]) -> T:
    """Decode the headers as ``kind``, by the fields' encoded names. Raises BadRequest."""
    found = {field.encode_name: headers.getlist(field.encode_name) for field in _fields(kind)}
    return _decode_text(found, kind, "header")


def decode_path(text: str, kind: Any, name: str) -> Any:
    """Decode one part of the path as ``kind``. Raises BadRequest."""
    if kind is str:
        return text
    try:
        return convert_text(text, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{name} in the path: {error}") from None


def _is_list(kind: Any) -> bool:
    return _is_kind(list, kind)


def _is_kind(wanted: Any, kind: Any) -> bool:
    """Report whether a type is ``wanted``, or a union with it."""
    arguments = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Annotated:
            return _is_kind(wanted, arguments[0])
        case typing.Union | types.UnionType:
            return any(_is_kind(wanted, member) for member in arguments)
        case origin:
            return wanted in (kind, origin)


def _decode_text(found: Mapping[str, list[str]], kind: type[T], what: str) -> T:
    values: dict[str, Any] = {}
    for field in _fields(kind):
        name = field.encode_name
        if not found.get(name):
            continue
        values[name] = found[name] if _is_list(field.type) else only(what, name, found[name])
    try:
        converted: T = convert_text(values, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{what}: {error}") from None
    return converted

"""Query parameters, headers and parts of the path, made into what an operation takes."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.datastructures import MultiDict

from toolbox.decoding import convert_text
from toolbox.decoding import only
from toolbox.errors import BadRequest

T = TypeVar("T")


def decode_query(arguments: MultiDict[str, str], kind: type[T]) -> T:
    """The query parameters as ``kind``, whatever the case of their names; unknown ones are left
    alone. An empty one that can't be empty is as good as none, if it may be absent.

    Raises BadRequest, also for one that is there twice.
    """
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
    """Whether nothing but the default can be meant by an empty value.

    Not of a flag (``?recursive`` alone might be meant for true), nor of one of a few words.
    """
    if field.required or _is_kind(bool, field.type) or _is_kind(typing.Literal, field.type):
        return False
    if isinstance(field.default, str):
        return True
    try:
        msgspec.convert("", field.type, strict=False)
    except msgspec.ValidationError:
        return True
    return False


def decode_headers(headers: Headers, kind: type[T]) -> T:
    """The headers as ``kind``, by the fields' encoded names. Raises BadRequest."""
    found = {field.encode_name: headers.getlist(field.encode_name) for field in _fields(kind)}
    return _decode_text(found, kind, "header")


def decode_path(text: str, kind: Any, name: str) -> Any:
    """One part of the path as ``kind``. Raises BadRequest."""
    if kind is str:
        return text
    try:
        return convert_text(text, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{name} in the path: {error}") from None


def _is_list(kind: Any) -> bool:
    return _is_kind(list, kind)


def _is_kind(wanted: Any, kind: Any) -> bool:
    """Whether a type is ``wanted``, or says so of one of those it is a union of."""
    arguments = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Annotated:
            return _is_kind(wanted, arguments[0])
        case typing.Union | types.UnionType:
            return any(_is_kind(wanted, each) for each in arguments)
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

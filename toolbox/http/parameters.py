"""The decoding of query parameters, headers and path parts into an operation's arguments."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any
from typing import NamedTuple
from typing import TypeVar

import msgspec
from werkzeug.datastructures import MultiDict

from toolbox.errors import BadRequest
from toolbox.http.decoding import convert_text
from toolbox.http.decoding import only
from toolbox.http.environ import environ_key

T = TypeVar("T", bound=msgspec.Struct)


def decode_query(arguments: MultiDict[str, str], kind: type[T]) -> T:
    """Decode the query parameters as ``kind``. Names match in any case; unknown ones are ignored.

    An empty value counts as absent if the parameter is optional and can't be empty. Raises
    BadRequest, also for a duplicate.
    """
    fields = _fields(kind)
    given = arguments.to_dict(flat=False)
    if not given.keys() <= {field.name for field in fields}:
        given = _in_any_case(arguments, kind)
    for field in fields:
        if field.empty_is_none and given.get(field.name) == [""]:
            del given[field.name]
    return _decode_text(given, kind, "query parameter")


def _in_any_case(arguments: MultiDict[str, str], kind: Any) -> dict[str, list[str]]:
    """Return the values of each field, whatever the case of its name is."""
    # As the keys of JSON: clients were written against Go's decoder.
    names = {field.name.lower(): field.name for field in _fields(kind)}
    found: dict[str, list[str]] = {}
    for name, values in arguments.lists():
        found.setdefault(names.get(name.lower(), name), []).extend(values)
    return {name: found[name] for name in names.values() if name in found}


class Field(NamedTuple):
    """A field of a struct, as far as text is decoded by it."""

    name: str
    """The name in the URL or the header."""
    variable: str
    """The name of the header in the WSGI environment."""
    is_list: bool
    empty_is_none: bool


@cache
def _fields(kind: Any) -> tuple[Field, ...]:
    """Return the fields of a struct: msgspec resolves its annotations at each look, in 8 us."""
    return tuple(
        Field(
            field.encode_name,
            environ_key(field.encode_name),
            _is_list(field.type),
            _means_none(field),
        )
        for field in msgspec.structs.fields(kind)
    )


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


def decode_headers(environ: Mapping[str, Any], kind: type[T]) -> T:
    """Decode the headers as ``kind``, by the fields' encoded names. Raises BadRequest."""
    found: dict[str, list[str]] = {}
    for field in _fields(kind):
        if (value := environ.get(field.variable)) is not None:
            found[field.name] = [value]
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
        if given := found.get(field.name):
            values[field.name] = given if field.is_list else only(what, field.name, given)
    try:
        converted: T = convert_text(values, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{what}: {error}") from None
    return converted

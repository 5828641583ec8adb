"""The decoding of JSON from clients, which all of it goes through.

The API is lenient in three ways, and this service is stricter in one. Keys match in any case, as in
Go's decoder, for which clients were written. Half a surrogate pair, JavaScript's half of an emoji,
becomes U+FFFD, as when it is converted to UTF-8. Unknown keys are ignored. A duplicate key is
refused: a gateway in front of this service that checks requests might use the other value.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import msgspec
from msgspec import DecodeError
from msgspec import inspect

from toolbox.errors import BadRequest

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # A whole pair.
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # Half of one (RFC 8259, 8.2).
    rb"|.)",
    re.DOTALL,
)


_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def decode(data: bytes, kind: Any) -> Any:
    """Decode a client's JSON as ``kind``. Raises DecodeError; the message never has the value."""
    try:
        tree = _read(data, Any)
        _refuse_twice(data, tree)
        return msgspec.convert(_fold(tree, _info(kind)), kind)
    except (RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from None


def decode_frame(data: bytes, kind: Any) -> Any:
    """Decode JSON that one of our programs wrote, perhaps with foreign text. Raises DecodeError."""
    try:
        return _read(data, kind)
    except (RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from None


def convert_text(text: Any, kind: Any) -> Any:
    """Convert text from a URL or a header, or a struct of such texts and lists, to ``kind``.

    Numbers are written as in JSON (RFC 8259, 6), integers without fraction and exponent. Raises
    ValidationError.
    """
    converted = msgspec.convert(text, kind, strict=False)
    if _has_numbers(kind):
        _check_numbers(text, _info(kind), "")
    return converted


def prepare(kind: Any) -> None:
    """Make msgspec analyze ``kind`` before several threads decode it.

    msgspec analyzes a struct on first use; another thread that uses it in that moment finds it
    incomplete and crashes the process (msgspec 0.22). Our own analysis, in Python, waits for the
    first use: of all operations it takes a tenth of the worker's start.
    """
    msgspec.json.Decoder(kind)


def _read(data: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except DecodeError:
        whole = _ESCAPE.sub(_replaced, data)
        if whole == data:
            raise
    return msgspec.json.decode(whole, type=kind)


def _replaced(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]


def _refuse_twice(data: bytes, tree: Any) -> None:
    # Each key has a colon. Only if there are more, perhaps in strings, is a second pass needed.
    if data.count(b":") != _count_keys(tree):
        json.loads(data, object_pairs_hook=_once)


def _count_keys(tree: Any) -> int:
    count, left = 0, [tree]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            count += len(value)
            left += value.values()
        elif isinstance(value, list):
            left += value
    return count


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _twice(next(name for name in found if names.count(name) > 1))
    return found


def _twice(name: str) -> DecodeError:
    return DecodeError(f"duplicate key {name.encode('utf-8', 'replace').decode()!r}")


@cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


@cache
def _has_numbers(kind: Any) -> bool:
    """Report whether a number is anywhere in ``kind``: most have none to check."""
    return _mentions_number(_info(kind))


def _mentions_number(info: inspect.Type) -> bool:
    match info:
        case inspect.StructType():
            return any(map(_mentions_number, _fields(info.cls)[0].values()))
        case inspect.UnionType(types=types):
            return any(map(_mentions_number, types))
        case inspect.ListType(item_type=below) | inspect.Metadata(type=below):
            return _mentions_number(below)
    return isinstance(info, inspect.IntType | inspect.FloatType)


def _check_numbers(text: Any, info: inspect.Type, name: str) -> None:
    """Refuse numbers that only msgspec accepts: ``1e3`` for an integer, ``nan``."""
    match info, text:
        case inspect.StructType(), dict():
            for key, item in text.items():
                _check_numbers(item, _fields(info.cls)[0][key], f" - at `$.{key}`")
        case inspect.ListType(item_type=below), list():
            for item in text:
                _check_numbers(item, below, name)
        case inspect.UnionType(types=types), _:
            if not any(
                isinstance(kind, inspect.LiteralType) and text in kind.values for kind in types
            ):
                for below in types:
                    _check_numbers(text, below, name)
        case inspect.Metadata(type=below), _:
            _check_numbers(text, below, name)
        case inspect.IntType(), str() if not _INTEGER.fullmatch(text) or not _fits(int(text)):
            raise msgspec.ValidationError(f"Expected `int` of 64 bits{name}")
        case inspect.FloatType(), str() if not _NUMBER.fullmatch(text):
            raise msgspec.ValidationError(f"Expected `float`{name}")


def _fits(number: int) -> bool:
    """Report whether a number fits into 64 bits, as the API's integers do."""
    return -(1 << 63) <= number < 1 << 63


def _fold(value: Any, info: inspect.Type) -> Any:
    """Return ``value`` with the keys of structs in the case of their fields."""
    if type(value) is int and not _fits(value):
        raise msgspec.ValidationError("Integer value out of range")
    match info, value:
        case inspect.StructType(), dict():
            return _fold_struct(value, info)
        case inspect.ListType(item_type=below), list() if not isinstance(below, inspect.StrType):
            return [_fold(item, below) for item in value]
        case inspect.DictType(value_type=below), dict() if not isinstance(below, inspect.StrType):
            return {key: _fold(item, below) for key, item in value.items()}
        case inspect.UnionType(types=types), dict() | list():
            return _fold(value, _chosen(types, value))
        case inspect.Metadata(type=below), _:
            return _fold(value, below)
    return value


def _fold_struct(value: dict[str, Any], info: inspect.StructType) -> dict[str, Any]:
    fields, names = _fields(info.cls)
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = key if key in fields else names.get(key.lower(), key)
        if name in found:
            raise _twice(name)
        found[name] = _fold(item, fields[name]) if name in fields else item
    return found


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[dict[str, inspect.Type], dict[str, str]]:
    """Return the types of a struct's fields by name, and the names by their lower case.

    The tag counts as a field.
    """
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    fields = {field.encode_name: field.type for field in info.fields}
    if info.tag_field:
        fields[info.tag_field] = inspect.AnyType()
    return fields, {name.lower(): name for name in fields}


def _chosen(types: tuple[inspect.Type, ...], value: Any) -> inspect.Type:
    """Return the one of ``types`` that ``value`` matches; the tag decides among structs."""
    if isinstance(value, list):
        kinds: list[inspect.Type] = [t for t in types if isinstance(t, inspect.ListType)]
        return kinds[0] if kinds else inspect.AnyType()
    structs = [kind for kind in types if isinstance(kind, inspect.StructType)]
    lower = {key.lower(): item for key, item in value.items()}
    for struct in structs:
        if len(structs) == 1 or lower.get(str(struct.tag_field).lower()) == struct.tag:
            return struct
    dicts = [kind for kind in types if isinstance(kind, inspect.DictType)]
    return dicts[0] if dicts else inspect.AnyType()


def only(what: str, name: str, values: list[str]) -> str | None:
    """Return the only value of ``name``, or None if it is absent.

    Raises BadRequest for several: a check before this one (a gateway, a signature) might use
    another value.
    """
    if len(values) > 1:
        raise BadRequest(f"{what}: {name} appears {len(values)} times")
    return values[0] if values else None

"""JSON from outside made into values: the one place it is read in.

The API knows three leniences, and this service one strictness more. Keys match whatever their case,
as Go's decoder has it, for which clients were written. Half a surrogate pair, which is what
JavaScript makes of half an emoji, is U+FFFD, as it is wherever it is made into UTF-8. Unknown keys
are left alone. A key that is there twice is refused: of two, whoever stands before this service
(a gateway that checks requests) might look at the other one.
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
    """What a client sent, as ``kind``. Raises DecodeError; the message never holds the value."""
    try:
        tree = _read(data, Any)
        _refuse_twice(data, tree)
        return msgspec.convert(_fold(tree, _info(kind)), kind)
    except (RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from None


def decode_frame(data: bytes, kind: Any) -> Any:
    """What a program of ours wrote, perhaps with texts of somebody else. Raises DecodeError."""
    try:
        return _read(data, kind)
    except (RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from None


def convert_text(text: Any, kind: Any) -> Any:
    """What stands in a URL or a header, as ``kind``: a struct of texts and lists of them, or one.

    Numbers are those of JSON (RFC 8259, 6), integers without fraction and exponent. Raises
    ValidationError.
    """
    converted = msgspec.convert(text, kind, strict=False)
    _check_numbers(text, _info(kind), "")
    return converted


def prepare(kind: Any) -> None:
    """Let msgspec learn ``kind``, before several threads decode it.

    It learns a struct when it first meets it; another thread that meets it meanwhile finds it half
    done and crashes the process (msgspec 0.22).
    """
    msgspec.json.Decoder(kind)
    _info(kind)


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
    # Each key has its colon. Only if there are more, perhaps in texts, it is worth a second look.
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
    return DecodeError(f"the key {name.encode('utf-8', 'replace').decode()!r} is there twice")


@cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _check_numbers(text: Any, info: inspect.Type, name: str) -> None:
    """Refuse what only msgspec takes for a number: ``1e3`` for an integer, ``nan``."""
    match info, text:
        case inspect.StructType(), dict():
            for key, each in text.items():
                _check_numbers(each, _fields(info.cls)[0][key], f" - at `$.{key}`")
        case inspect.ListType(item_type=below), list():
            for each in text:
                _check_numbers(each, below, name)
        case inspect.UnionType(types=types), _:
            if not any(
                isinstance(each, inspect.LiteralType) and text in each.values for each in types
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
    """Into 64 bits, which the API's integers have."""
    return -(1 << 63) <= number < 1 << 63


def _fold(value: Any, info: inspect.Type) -> Any:
    """``value`` with the keys of structs as the structs write them."""
    if type(value) is int and not _fits(value):
        raise msgspec.ValidationError("Integer value out of range")
    match info, value:
        case inspect.StructType(), dict():
            return _fold_struct(value, info)
        case inspect.ListType(item_type=below), list() if not isinstance(below, inspect.StrType):
            return [_fold(each, below) for each in value]
        case inspect.DictType(value_type=below), dict() if not isinstance(below, inspect.StrType):
            return {key: _fold(each, below) for key, each in value.items()}
        case inspect.UnionType(types=types), dict() | list():
            return _fold(value, _chosen(types, value))
        case inspect.Metadata(type=below), _:
            return _fold(value, below)
    return value


def _fold_struct(value: dict[str, Any], info: inspect.StructType) -> dict[str, Any]:
    fields, names = _fields(info.cls)
    found: dict[str, Any] = {}
    for key, each in value.items():
        name = key if key in fields else names.get(key.lower(), key)
        if name in found:
            raise _twice(name)
        found[name] = _fold(each, fields[name]) if name in fields else each
    return found


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[dict[str, inspect.Type], dict[str, str]]:
    """The types of a struct's fields by their names, and the names by what they are in lower case.

    Its tag is one of them.
    """
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    fields = {each.encode_name: each.type for each in info.fields}
    if info.tag_field:
        fields[info.tag_field] = inspect.AnyType()
    return fields, {name.lower(): name for name in fields}


def _chosen(types: tuple[inspect.Type, ...], value: Any) -> inspect.Type:
    """The one of ``types`` that ``value`` is meant for; of several structs the tag tells."""
    if isinstance(value, list):
        kinds: list[inspect.Type] = [t for t in types if isinstance(t, inspect.ListType)]
        return kinds[0] if kinds else inspect.AnyType()
    structs = [each for each in types if isinstance(each, inspect.StructType)]
    lower = {key.lower(): each for key, each in value.items()}
    for each in structs:
        if len(structs) == 1 or lower.get(str(each.tag_field).lower()) == each.tag:
            return each
    dicts = [each for each in types if isinstance(each, inspect.DictType)]
    return dicts[0] if dicts else inspect.AnyType()


def only(what: str, name: str, values: list[str]) -> str | None:
    """The one value of ``name``, None if there is none.

    Raises BadRequest for several: whoever checks requests before they come here (a gateway, a
    signature) might look at another one.
    """
    if len(values) > 1:
        raise BadRequest(f"{what}: {name} is there {len(values)} times")
    return values[0] if values else None

"""Comparing what a server has sent with what a case expects."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple


class Has(NamedTuple):
    """A text, or the text of any value, that contains ``part``."""

    part: str


class Holds(NamedTuple):
    """A list one of whose items matches ``item``."""

    item: Any


class Lacks(NamedTuple):
    """A list none of whose items matches ``item``."""

    item: Any


class All(NamedTuple):
    """A value that matches all of ``parts``."""

    parts: tuple[Any, ...]


def mismatch(expected: Any, actual: Any, where: str = "the response") -> str:
    """Return the first way in which ``actual`` is not what is expected, or an empty string.

    Of an object only the expected keys count. A type stands for any value of it.
    """
    if isinstance(expected, Has):
        return "" if expected.part in str(actual) else f"{where} lacks {expected.part!r}"
    if isinstance(expected, All):
        return next(filter(None, (mismatch(part, actual, where) for part in expected.parts)), "")
    if isinstance(expected, Holds | Lacks):
        return _items(expected, actual, where)
    if isinstance(expected, type):
        # True is an int in Python, but not in JSON.
        right = isinstance(actual, expected) and (expected is not int or type(actual) is int)
        return "" if right else f"{where} is {_short(actual)}, not of type {expected.__name__}"
    if isinstance(expected, dict):
        return _object(expected, actual, where)
    return "" if expected == actual else f"{where} is {_short(actual)}, not {_short(expected)}"


def _items(expected: Holds | Lacks, actual: Any, where: str) -> str:
    if not isinstance(actual, list):
        return f"{where} is {_short(actual)}, not a list"
    found = any(not mismatch(expected.item, item) for item in actual)
    if found == isinstance(expected, Holds):
        return ""
    return f"{where} {'has' if found else 'lacks'} {_short(expected.item)}: {_short(actual)}"


def _object(expected: dict[str, Any], actual: Any, where: str) -> str:
    if not isinstance(actual, dict):
        return f"{where} is {_short(actual)}, not an object"
    for key, value in expected.items():
        if key not in actual:
            return f"{where} lacks {key!r}: {_short(actual)}"
        if wrong := mismatch(value, actual[key], f"{where}'s {key!r}"):
            return wrong
    return ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."

"""Globs: names matched by patterns."""

from __future__ import annotations

import re
from collections.abc import Callable

Match = Callable[[str], bool]


def compile_glob(pattern: str) -> Match | None:
    """Whether a whole name matches ``pattern``; None if the pattern is malformed.

    ``*`` is any run of characters, ``?`` one, ``[a-z]`` one of a set, ``[^a-z]`` and ``[!a-z]``
    one not in it, a backslash takes the special meaning from what follows it.
    """
    if re.fullmatch(r"\*[^*?\[\\]*", pattern):
        ending = pattern[1:]
        return lambda name: name.endswith(ending)
    if re.fullmatch(r"[^*?\[\\]*", pattern):
        return lambda name: name == pattern
    expression = _glob_expression(pattern)
    if expression is None:
        return None
    matches = re.compile(expression, re.DOTALL).fullmatch
    return lambda name: matches(name) is not None


def _glob_expression(pattern: str) -> str | None:
    """``pattern`` as a regular expression, None if it is malformed.

    What stands between two stars has a fixed length, so the first place where it fits is as good
    as any later one: atomic groups keep the search linear in each.
    """
    segments = [""]
    place = 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character == "*":
            segments.append("")
        elif character == "?":
            segments[-1] += "."
        elif character == "[":
            found = _glob_set(pattern, place)
            if found is None:
                return None
            segments[-1] += found[0]
            place = found[1]
        elif character == "\\" and place == len(pattern):
            return None
        else:
            if character == "\\":
                character = pattern[place]
                place += 1
            segments[-1] += re.escape(character)
    if len(segments) == 1:
        return segments[0]
    middle = "".join(f"(?>.*?{segment})" for segment in segments[1:-1] if segment)
    return f"{segments[0]}{middle}.*{segments[-1]}"


def _glob_set(pattern: str, place: int) -> tuple[str, int] | None:
    """The set that begins at ``place`` as an expression, and where it ends."""
    negated = pattern[place : place + 1] in ("^", "!")
    place += negated
    members: list[str] = []
    while pattern[place : place + 1] != "]" or not members:
        low = _set_member(pattern, place)
        if low is None:
            return None
        first, place = low
        last = first
        if pattern[place : place + 1] == "-":
            high = _set_member(pattern, place + 1)
            if high is None:
                return None
            last, place = high
        # Nothing is in a range that runs backwards.
        members.append(f"{re.escape(first)}-{re.escape(last)}" if first <= last else "")
    inner = "".join(members)
    if not inner:
        return (".", place + 1) if negated else ("(?!)", place + 1)
    return f"[{'^' if negated else ''}{inner}]", place + 1


def _set_member(pattern: str, place: int) -> tuple[str, int] | None:
    character = pattern[place : place + 1]
    if character in ("", "-", "]"):
        return None
    if character == "\\":
        place += 1
        character = pattern[place : place + 1]
    return (character, place + 1) if character else None

"""Globs: patterns that match names."""

from __future__ import annotations

import re
from collections.abc import Callable

Match = Callable[[str], bool]


def compile_glob(pattern: str) -> Match | None:
    """Return a predicate for names that match ``pattern``, or None if it is malformed.

    ``*`` is any run of characters, ``?`` one, ``[a-z]`` one of a set, ``[^a-z]`` and ``[!a-z]``
    one not in it; a backslash escapes the next character.
    """
    # The two common forms, "*.py" and a plain name, need no regular expression.
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
    """Return ``pattern`` as a regular expression, or None if it is malformed.

    A segment between two stars has a fixed length, so its first match is as good as any later one:
    atomic groups keep the search linear in each segment.
    """
    segments = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            segments.append("")
        elif character == "?":
            segments[-1] += "."
        elif character == "[":
            found = _glob_set(pattern, position)
            if found is None:
                return None
            segments[-1] += found[0]
            position = found[1]
        elif character == "\\" and position == len(pattern):
            return None
        else:
            if character == "\\":
                character = pattern[position]
                position += 1
            segments[-1] += re.escape(character)
    if len(segments) == 1:
        return segments[0]
    middle = "".join(f"(?>.*?{segment})" for segment in segments[1:-1] if segment)
    return f"{segments[0]}{middle}.*{segments[-1]}"


def _glob_set(pattern: str, position: int) -> tuple[str, int] | None:
    """Return the set that begins at ``position`` as an expression, and its end."""
    negated = pattern[position : position + 1] in ("^", "!")
    position += negated
    members: list[str] = []
    while pattern[position : position + 1] != "]" or not members:
        low = _set_member(pattern, position)
        if low is None:
            return None
        first, position = low
        last = first
        if pattern[position : position + 1] == "-":
            high = _set_member(pattern, position + 1)
            if high is None:
                return None
            last, position = high
        # A reversed range is empty.
        members.append(f"{re.escape(first)}-{re.escape(last)}" if first <= last else "")
    inner = "".join(members)
    if not inner:
        return (".", position + 1) if negated else ("(?!)", position + 1)
    return f"[{'^' if negated else ''}{inner}]", position + 1


def _set_member(pattern: str, position: int) -> tuple[str, int] | None:
    character = pattern[position : position + 1]
    if character in ("", "-", "]"):
        return None
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
    return (character, position + 1) if character else None

"""Globs for whole paths, as the package minimatch has them: ``**``, ``*``, ``?``, sets, braces."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from toolbox.patterns.globs import Match
from toolbox.patterns.globs import compile_glob

MAX_PATTERNS = 100
"""Patterns that the braces of one may stand for."""

MAX_SEGMENTS = 50
"""Names in a pattern at most."""

Matches = Callable[[Sequence[str]], bool]


class MalformedGlob(ValueError):
    """The pattern is no glob, or too large a one; the message is for people."""


def compile_path_glob(pattern: str) -> Matches:
    """Return a predicate for the names of relative paths. Raises MalformedGlob."""
    compiled = [_compile(one) for one in expand_braces(pattern)]
    if len(compiled) == 1:
        return compiled[0]
    return lambda names: any(matches(names) for matches in compiled)


def last_name_glob(pattern: str) -> Match | None:
    """Return a predicate for the last name, if that decides, as in most patterns: ``**/*.py``."""
    last = pattern.removeprefix("**/")
    if last == pattern or set("/{}") & set(last) or last in ("", ".", "**"):
        return None
    return _segment(last)


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns without braces that a pattern stands for. Raises MalformedGlob."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(done) + len(waiting) > MAX_PATTERNS:
            raise MalformedGlob(f"the pattern stands for more than {MAX_PATTERNS} patterns")
        current = waiting.pop()
        end = current.find("}")
        start = current.rfind("{", 0, end)
        if end < 0 or start < 0 or "," not in current[start:end]:
            done.append(current)
            continue
        choices = current[start + 1 : end].split(",")
        waiting += [current[:start] + choice + current[end + 1 :] for choice in choices]
    return done


def _compile(pattern: str) -> Matches:
    segments = [segment for segment in pattern.split("/") if segment not in ("", ".")]
    if len(segments) > MAX_SEGMENTS:
        raise MalformedGlob(f"a pattern has at most {MAX_SEGMENTS} names")
    compiled = [None if segment == "**" else _segment(segment) for segment in segments]

    def matches(names: Sequence[str]) -> bool:
        # The positions in the pattern that the names read so far may have led to.
        places = _closure({0}, compiled)
        for name in names:
            places = _closure(_advance(places, compiled, name), compiled)
        return len(compiled) in places

    return matches


def _segment(segment: str) -> Match:
    found = compile_glob(segment)
    if found is None:
        raise MalformedGlob(f"malformed pattern: {segment!r}")
    return found


def _advance(places: set[int], compiled: list[Match | None], name: str) -> set[int]:
    found: set[int] = set()
    for place in places:
        if place == len(compiled):
            continue
        matches = compiled[place]
        if matches is None:
            found.add(place)
        elif matches(name):
            found.add(place + 1)
    return found


def _closure(places: set[int], compiled: list[Match | None]) -> set[int]:
    """Add the places after each ``**``, which may stand for no name at all."""
    found = set(places)
    for place in sorted(places):
        while place < len(compiled) and compiled[place] is None:
            place += 1
            found.add(place)
    return found

"""Patterns in a session's output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

OVERLAP = 4096
"""Bytes that are searched again, since a match may begin in them: a longer one isn't found."""

_REPEATS = re.compile(r"(?<!\\)[*+{?]")
_CONTROLS = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # Colors, the cursor, modes such as that of bracketed paste.
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # Titles, and our marks.
    rb"|\x1b[@-Z\\^_]"
)


class Match(NamedTuple):
    """A place in the output, and the number of the pattern that was found there."""

    number: int
    start: int
    end: int
    groups: tuple[bytes, ...]


def compile_expected(text: str) -> re.Pattern[bytes]:
    """Return the pattern for a string of the client: a regular expression if it is a simple one.

    One with several repetitions could take forever, and one that is invalid is meant as it stands:
    both are searched for literally.
    """
    # The output is bytes, so that a character that is cut in two breaks no search.
    data = text.encode("utf-8", "surrogatepass")
    if len(_REPEATS.findall(text)) > 1:
        return re.compile(re.escape(data))
    try:
        return re.compile(data)
    except (re.error, OverflowError, RecursionError):
        return re.compile(re.escape(data))


def first_match(
    patterns: Sequence[re.Pattern[bytes]], data: bytes | bytearray, start: int
) -> Match | None:
    """Return the match that begins first in ``data`` from ``start`` on; of several there, that of
    the first pattern.
    """
    found = None
    for number, pattern in enumerate(patterns):
        match = pattern.search(data, max(0, start - OVERLAP))
        if match is not None and (found is None or match.start() < found.start):
            groups = tuple(bytes(group or b"") for group in match.groups())
            found = Match(number, match.start(), match.end(), groups)
    return found


def plain(data: bytes | bytearray) -> str:
    """Return output as text, without control sequences and with simple line ends."""
    # Before the text is decoded: a sequence may be in the middle of a character's bytes.
    text = _CONTROLS.sub(b"", bytes(data)).decode("utf-8", "backslashreplace")
    return text.replace("\r\n", "\n")

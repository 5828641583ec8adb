"""Requests to the program that searches, and its responses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal
from typing import NamedTuple

import msgspec

# -I, -S: no PYTHON* variables, no current directory, no site-packages (python(1)).
COMMAND = [sys.executable, "-I", "-S", str(Path(__file__).with_name("program.py"))]

SPECIAL = frozenset(r"\.^$*+?{}[]|()")
"""Characters without which a pattern is only a text."""


Result = Literal["found", "missing", "invalid", "slow"]
"""``slow`` is what has taken too long, and would again."""


class Outcome(NamedTuple):
    """The response: see :mod:`toolbox_process.matching.program`."""

    number: int
    outcome: Result
    text: str


def is_plain(pattern: str) -> bool:
    """Report whether a pattern is only a text, which needs no program."""
    return not set(pattern) & SPECIAL


def request(number: int, pattern: str, text: str) -> bytes:
    """Return the request for a search."""
    return msgspec.json.encode([number, pattern, text]) + b"\n"


def response(line: bytes) -> Outcome:
    """Return the response in a line."""
    return msgspec.json.decode(line, type=Outcome)

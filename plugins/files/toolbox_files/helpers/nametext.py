"""File names as text; the rule is that of :mod:`toolbox_files.names`."""

from __future__ import annotations

import re

ESCAPE = 0x10F700
"""The character for a byte that belongs to none is this one plus the byte."""

_SURROGATES = re.compile("[\udc80-\udcff]")
_ESCAPES = re.compile(f"[{chr(ESCAPE + 0x80)}-{chr(ESCAPE + 0xFF)}]")


def name_text(name: bytes) -> str:
    """A name as clients see it; see :mod:`toolbox_files.names`."""
    text = name.decode("utf-8", "surrogateescape")
    text = _ESCAPES.sub(lambda match: _surrogates(match[0]), text)
    return _SURROGATES.sub(lambda match: chr(ord(match[0]) - 0xDC00 + ESCAPE), text)


def _surrogates(character: str) -> str:
    return character.encode("utf-8").decode("ascii", "surrogateescape")


def name_bytes(text: str) -> bytes:
    """The name that a client's text means. Raises UnicodeEncodeError for a lone surrogate."""
    escaped = _ESCAPES.sub(lambda match: chr(ord(match[0]) - ESCAPE + 0xDC00), text)
    return escaped.encode("utf-8", "surrogateescape")

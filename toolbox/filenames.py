"""File names as text, losslessly.

A file name is bytes; JSON and query strings carry Unicode. A name that is UTF-8 is sent unchanged.
In any other, each byte that belongs to no character, ``0x80`` to ``0xFF``, is written as the
private-use character ``U+10F700`` plus that byte: ``b"caf\\xe9"`` is ``"caf\\U0010F7E9"``. A client
can send back a name that it read in a listing, and it means the same file.

The rule has no exceptions: where a name really holds one of those 128 characters, its four bytes
are escaped one by one.

The groups' helper programs import this module without the rest of the package, so it must stay
quick to import.
"""

from __future__ import annotations

import re

ESCAPE = 0x10F700
"""Code point to which the value of an escaped byte is added."""

_SURROGATES = re.compile("[\udc80-\udcff]")
"""The way Python escapes the same bytes (PEP 383); UTF-8 can't carry these characters."""

_ESCAPES = re.compile(f"[{chr(ESCAPE + 0x80)}-{chr(ESCAPE + 0xFF)}]")

_WRITTEN = re.compile(rf"{_ESCAPES.pattern}|\\U0010f7([89a-f][0-9a-f])")
"""The escapes, also in the way repr() writes them, since they aren't printable."""


def decode_name(name: bytes) -> str:
    """Return a file name or path as the text that clients see."""
    text = name.decode("utf-8", "surrogateescape")
    if text.isascii():
        return text
    text = _ESCAPES.sub(lambda match: _surrogates(match[0]), text)
    return _SURROGATES.sub(lambda match: chr(ord(match[0]) - 0xDC00 + ESCAPE), text)


def _surrogates(character: str) -> str:
    return character.encode("utf-8").decode("ascii", "surrogateescape")


def encode_name(text: str) -> bytes:
    """Return the bytes of a name or path that a client sent.

    Raises UnicodeEncodeError for a lone surrogate.
    """
    escaped = _ESCAPES.sub(lambda match: chr(ord(match[0]) - ESCAPE + 0xDC00), text)
    return escaped.encode("utf-8", "surrogateescape")


def show_bytes(text: str) -> str:
    """Return a text for people in which escaped bytes are written as ``\\xff``."""
    return _WRITTEN.sub(lambda match: "\\x" + (match[1] or f"{ord(match[0]) - ESCAPE:02x}"), text)

"""Conversion of paths from and to the text that clients use (:mod:`toolbox.filenames`)."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox_files.errors import InvalidFilePath


def to_text(name: str) -> str:
    """Return a file name or path of the operating system as the text that clients see."""
    # Most names: encoding and decoding each would take longer.
    if name.isascii():
        return name
    return decode_name(os.fsencode(name))


def to_bytes(text: str) -> bytes:
    """Return the bytes of a name or path that a client sent. Raises InvalidFilePath."""
    if "\0" in text:
        raise InvalidFilePath("a path can't contain a NUL byte")
    try:
        return encode_name(text)
    except UnicodeEncodeError:
        raise InvalidFilePath("a path can't contain a lone surrogate") from None


# An upload asks for its path three times: this takes a tenth off the group's part of a small one.
@lru_cache(64)
def to_path(text: str, base: Path) -> Path:
    """Return the path that a client sent, relative to ``base``; ``..`` is left to the kernel.

    Raises InvalidFilePath if it is empty or not a path.
    """
    if not text:
        raise InvalidFilePath("the path is empty")
    # Most paths: encoding and decoding takes half as long as everything else here.
    plain = text.isascii() and "\0" not in text
    return base / one_root(text if plain else os.fsdecode(to_bytes(text)))


def one_root(text: str) -> str:
    """Return ``text`` with one leading slash instead of several, of which ``Path`` keeps two."""
    return re.sub("^/+", "/", text) if text.startswith("//") else text


def absolute(path: Path) -> str:
    """Return the full path without ``..``, as the text that clients see.

    Symbolic links are resolved only before the last ``..``, since ``link/..`` is the parent of the
    link's target.
    """
    parts = path.parts
    if ".." in parts:
        last = len(parts) - parts[::-1].index("..")
        path = Path(*parts[:last]).resolve().joinpath(*parts[last:])
    return to_text(str(path))

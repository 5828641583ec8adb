"""File names as text: any bytes, there and back.

A file name is bytes; JSON and query strings carry Unicode. A name that is UTF-8 is sent as it is.
In any other, each byte that belongs to no character, ``0x80`` to ``0xFF``, is written as the one
private-use character ``U+10F700`` plus that byte: ``b"caf\\xe9"`` is ``"caf\\U0010F7E9"``. What
a client reads in a listing it can send back, and means that very file.

The rule has no exceptions: where a name really holds one of those 128 characters, its four bytes
are written so, one by one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolbox_files.errors import InvalidFilePath
from toolbox_files.helpers.nametext import name_bytes
from toolbox_files.helpers.nametext import name_text


def to_text(name: str) -> str:
    """A file name or path from the operating system, as it is sent to clients."""
    if name.isascii():
        return name
    return name_text(os.fsencode(name))


def to_bytes(text: str) -> bytes:
    """The bytes of a name or path that a client sent. Raises InvalidFilePath."""
    if "\0" in text:
        raise InvalidFilePath("a path can't hold a NUL byte")
    try:
        return name_bytes(text)
    except UnicodeEncodeError:
        raise InvalidFilePath("a path can't hold a lone surrogate") from None


def to_path(text: str, base: Path) -> Path:
    """The path a client sent, relative to ``base``; ``..`` is left to the kernel.

    Raises InvalidFilePath if it is empty or can't be a path.
    """
    if not text:
        raise InvalidFilePath("the path is empty")
    return base / one_root(os.fsdecode(to_bytes(text)))


def one_root(text: str) -> str:
    """``text`` with one slash at its beginning where it has several: on Linux they mean no more,
    but ``Path`` keeps two.
    """
    return re.sub("^/+", "/", text)


def absolute(path: Path) -> str:
    """The full path of ``path`` without ``..``, as it is sent to clients.

    Only what stands before the last ``..`` has its symbolic links resolved, since ``link/..`` is
    not where ``link`` is.
    """
    parts = path.parts
    if ".." in parts:
        last = len(parts) - parts[::-1].index("..")
        path = Path(*parts[:last]).resolve().joinpath(*parts[last:])
    return to_text(str(path))

"""Edits of a text as agents make them: exact, all or nothing.

A text is replaced only if it occurs as often as the caller says, once by default: one that occurs
elsewhere too, or no longer, is an error that tells where.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Sequence

from toolbox.errors import ContentTooLarge
from toolbox.writing import write_all
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions
from toolbox_files.errors import EditMismatch
from toolbox_files.models import Insertion
from toolbox_files.models import Replacement
from toolbox_files.text import check_text

MAX_SIZE = 64 * 1024 * 1024
"""Bytes of a file that is edited, before and after: it is held in memory."""

SHOWN = 10
"""Places that an error tells at most."""

Edit = Replacement | Insertion


def edit_file(
    backend: FilesBackend, path: str, edits: Sequence[Edit], conditions: Conditions
) -> list[list[int]]:
    """Apply ``edits``, each to what the one before has made; the lines where each took place.

    The file changes at once or not at all, and only if nobody else has changed it meanwhile.
    Raises EditMismatch, PreconditionFailed, ContentTooLarge, BinaryFile.
    """
    etag = backend.etag(path)
    with backend.open(path) as file:
        conditions.check(os.fstat(file.fileno()))
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise ContentTooLarge(f"files over {MAX_SIZE} bytes are not edited")
    check_text(content)
    changed, places = edited(content, edits)
    if changed != content:
        with backend.replace(path, Conditions(if_match=etag)) as file:
            write_all(file, changed)
    return places


def edited(content: bytes, edits: Sequence[Edit]) -> tuple[bytes, list[list[int]]]:
    """``content`` after ``edits``, and for each the lines, from 1, where it found its place.

    Raises EditMismatch, ContentTooLarge.
    """
    places = []
    for number, edit in enumerate(edits, 1):
        if isinstance(edit, Replacement):
            content, lines = _replace(content, edit, number)
        else:
            content, lines = _insert(content, edit, number)
        places.append(lines)
    return content, places


def _replace(content: bytes, edit: Replacement, number: int) -> tuple[bytes, list[int]]:
    old, new = edit.old_text.encode(), edit.new_text.encode()
    count = content.count(old)
    if count != edit.count:
        lines = ", ".join(map(str, _shown(content, old)))
        where = f" (lines {lines}{', ...' if count > SHOWN else ''})" if count else ""
        raise EditMismatch(f"edit {number}: the text occurs {count} times, not {edit.count}{where}")
    if len(content) + count * (len(new) - len(old)) > MAX_SIZE:
        raise ContentTooLarge(f"edit {number}: the file would be over {MAX_SIZE} bytes")
    return content.replace(old, new), list(_lines(content, old))


def _shown(content: bytes, text: bytes) -> Iterator[int]:
    for _, line in zip(range(SHOWN), _lines(content, text), strict=False):
        yield line


def _lines(content: bytes, text: bytes) -> Iterator[int]:
    """The line of each occurrence, from the left."""
    line, counted, place = 1, 0, content.find(text)
    while place >= 0:
        line += content.count(b"\n", counted, place)
        counted = place
        yield line
        place = content.find(text, place + len(text))


def _insert(content: bytes, edit: Insertion, number: int) -> tuple[bytes, list[int]]:
    new = edit.new_text.encode()
    place = 0
    for line in range(edit.after_line):
        if place == len(content):
            raise EditMismatch(f"edit {number}: there are {line} lines, not {edit.after_line}")
        place = content.find(b"\n", place) + 1 or len(content)
    before = content[:place]
    ending = b"\r\n" if b"\r\n" in content else b"\n"
    if before and not before.endswith(b"\n"):
        before += ending
    if not new.endswith(b"\n"):
        new += ending
    return before + new + content[place:], [edit.after_line + 1]

"""Exact-match edits of one file, as agents make them, applied atomically.

A text is replaced only if it occurs exactly as often as the caller expects, once by default; any
other count is an error that lists the lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import islice

from toolbox.atomic.writing import write_all
from toolbox.errors import ContentTooLarge
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions
from toolbox_files.errors import EditMismatch
from toolbox_files.models import Insertion
from toolbox_files.models import Replacement
from toolbox_files.text.binary import check_text

MAX_SIZE = 64 * 1024 * 1024
"""Maximum bytes of an edited file, before and after: it is held in memory."""

MAX_LISTED = 10
"""Lines that an error lists at most."""

Edit = Replacement | Insertion


def edit_file(
    backend: FilesBackend, path: str, edits: Sequence[Edit], conditions: Conditions
) -> list[list[int]]:
    """Apply ``edits`` in order, each to the previous result; return as :func:`apply_edits`.

    The file changes atomically, and only if no other writer has changed it since it was read.
    Raises EditMismatch, PreconditionFailed, ContentTooLarge, BinaryFile.
    """
    # Before the file is read: a change in between fails the write.
    etag = backend.etag(path)
    content = _read_text(backend, path, conditions)
    changed, lines = apply_edits(content, edits)
    if changed != content:
        with backend.writing(path, Conditions(if_match=etag)) as file:
            write_all(file, changed)
    return lines


def _read_text(backend: FilesBackend, path: str, conditions: Conditions) -> bytes:
    with backend.open(path) as file:
        conditions.check(os.fstat(file.fileno()))
        # One byte more shows that it is too large.
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise ContentTooLarge(f"file too large to edit (limit {MAX_SIZE} bytes)")
    check_text(content)
    return content


def apply_edits(content: bytes, edits: Sequence[Edit]) -> tuple[bytes, list[list[int]]]:
    """Return ``content`` after ``edits``, and for each edit the lines where it was applied.

    Lines are counted from 1 in the text before that edit. Raises EditMismatch, ContentTooLarge.
    """
    applied = []
    for number, edit in enumerate(edits, 1):
        if isinstance(edit, Replacement):
            content, lines = _replace(content, edit, number)
        else:
            content, lines = _insert(content, edit, number)
        applied.append(lines)
    return content, applied


def _replace(content: bytes, edit: Replacement, number: int) -> tuple[bytes, list[int]]:
    old, new = edit.old_text.encode(), edit.new_text.encode()
    count = content.count(old)
    if count != edit.count:
        lines = ", ".join(map(str, islice(_lines(content, old), MAX_LISTED)))
        where = f" (lines {lines}{', ...' if count > MAX_LISTED else ''})" if count else ""
        raise EditMismatch(
            f"edit {number}: expected {edit.count} occurrences, found {count}{where}"
        )
    if len(content) + count * (len(new) - len(old)) > MAX_SIZE:
        raise ContentTooLarge(f"edit {number}: the result is too large (limit {MAX_SIZE} bytes)")
    return content.replace(old, new), list(_lines(content, old))


def _lines(content: bytes, text: bytes) -> Iterator[int]:
    """Yield the line of each occurrence, in order."""
    line, counted, offset = 1, 0, content.find(text)
    while offset >= 0:
        # Only the lines since the previous occurrence: linear in the size of the file.
        line += content.count(b"\n", counted, offset)
        counted = offset
        yield line
        offset = content.find(text, offset + len(text))


def _insert(content: bytes, edit: Insertion, number: int) -> tuple[bytes, list[int]]:
    new = edit.new_text.encode()
    offset = 0
    for line in range(edit.after_line):
        if offset == len(content):
            raise EditMismatch(
                f"edit {number}: no line {edit.after_line}, the file has {line} lines"
            )
        offset = content.find(b"\n", offset) + 1 or len(content)
    before = content[:offset]
    # The file's own line ending.
    ending = b"\r\n" if b"\r\n" in content else b"\n"
    if before and not before.endswith(b"\n"):
        before += ending
    if not new.endswith(b"\n"):
        new += ending
    return before + new + content[offset:], [edit.after_line + 1]

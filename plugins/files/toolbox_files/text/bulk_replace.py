"""Replacing a text in many files of any size, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from toolbox.atomic.writing import write_all
from toolbox.errors import PreconditionFailed
from toolbox.errors import ToolboxError
from toolbox.request import CHUNK
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions
from toolbox_files.models import ReplaceResult
from toolbox_files.text.binary import check_text

ATTEMPTS = 5
"""Attempts for one file that other writers keep changing."""


def replace_in_files(
    backend: FilesBackend, files: list[str], old: bytes, new: bytes
) -> list[ReplaceResult]:
    """Replace ``old`` by ``new`` in each of ``files``; return one result for each, in order.

    A file without ``old`` is not written, nor is one that isn't text.
    """
    results = []
    for name in files:
        try:
            _replace(backend, name, old, new)
        except ToolboxError as error:
            results.append(ReplaceResult(file=name, success=False, error=error.message))
        else:
            results.append(ReplaceResult(file=name, success=True))
    return results


def _replace(backend: FilesBackend, name: str, old: bytes, new: bytes) -> None:
    """Replace in one file; start over if it changes concurrently, to lose no other change."""
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return _replace_unchanged(backend, name, old, new)
        except PreconditionFailed:
            if not attempts_left:
                raise


def _replace_unchanged(backend: FilesBackend, name: str, old: bytes, new: bytes) -> None:
    etag = backend.etag(name)
    with backend.open(name) as source:
        # A file without the text isn't written: its time and its watchers are spared.
        if not _occurs(source, old):
            return
        source.seek(0)
        with backend.writing(name, Conditions(if_match=etag)) as target:
            for block in replace_in_blocks(_text_blocks(source), old, new):
                write_all(target, block)


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(CHUNK):
        yield block


def _text_blocks(source: BinaryIO) -> Iterator[bytes]:
    """Yield the blocks. Raises BinaryFile."""
    for block in _blocks(source):
        check_text(block)
        yield block


def _occurs(source: BinaryIO, text: bytes) -> bool:
    tail = b""
    for block in _blocks(source):
        if text in tail + block:
            return True
        tail = _tail(tail + block, len(text))
    return False


def _tail(data: bytes, length: int) -> bytes:
    """Return the last bytes of ``data``, with which a text of ``length`` bytes may begin."""
    return data[max(0, len(data) - length + 1) :]


def replace_in_blocks(blocks: Iterator[bytes], old: bytes, new: bytes) -> Iterator[bytes]:
    """Yield the content of ``blocks`` with every ``old``, from the left, replaced by ``new``."""
    # A short text may occur often and become a long one: bound what is joined at once.
    batch = max(1, CHUNK // (len(new) + 1))
    tail = b""
    for block in blocks:
        *whole, rest = (tail + block).split(old)
        for start in range(0, len(whole), batch):
            yield new.join([*whole[start : start + batch], b""])
        # It may begin in this block and end in the next.
        tail = _tail(rest, len(old))
        yield rest[: len(rest) - len(tail)]
    yield tail

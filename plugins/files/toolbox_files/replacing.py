"""Replacing text in files, of any size, byte by byte exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from toolbox.errors import PreconditionFailed
from toolbox.errors import ToolboxError
from toolbox.request import CHUNK
from toolbox.writing import write_all
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions
from toolbox_files.models import ReplaceResult
from toolbox_files.text import check_text

ATTEMPTS = 5
"""How often one file is tried that others change meanwhile."""


def replace_in_files(
    backend: FilesBackend, files: list[str], old: bytes, new: bytes
) -> list[ReplaceResult]:
    """Replace ``old`` by ``new`` in each of ``files``; one result for each, in order.

    A file without ``old`` is not written, nor is one that is no text.
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
    """Replace in one file, again if it changes meanwhile: the change of another isn't lost."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return _replace_unchanged(backend, name, old, new)
        except PreconditionFailed:
            if not left:
                raise


def _replace_unchanged(backend: FilesBackend, name: str, old: bytes, new: bytes) -> None:
    etag = backend.etag(name)
    with backend.open(name) as source:
        if not _occurs(source, old):
            return
        source.seek(0)
        with backend.replace(name, Conditions(if_match=etag)) as target:
            for block in replaced(_text_blocks(source), old, new):
                write_all(target, block)


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(CHUNK):
        yield block


def _text_blocks(source: BinaryIO) -> Iterator[bytes]:
    """The same. Raises BinaryFile."""
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
    """The last bytes of ``data`` that may be the beginning of a text of ``length`` bytes."""
    return data[max(0, len(data) - length + 1) :]


def replaced(blocks: Iterator[bytes], old: bytes, new: bytes) -> Iterator[bytes]:
    """The content of ``blocks`` with every ``old``, from the left, replaced by ``new``."""
    lot = max(1, CHUNK // (len(new) + 1))  # A short text may occur often, and become a long one.
    tail = b""
    for block in blocks:
        *whole, rest = (tail + block).split(old)
        for start in range(0, len(whole), lot):
            yield new.join([*whole[start : start + lot], b""])
        tail = _tail(rest, len(old))
        yield rest[: len(rest) - len(tail)]
    yield tail

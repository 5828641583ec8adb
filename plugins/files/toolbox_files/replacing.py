"""Replacing text in files, of any size, byte by byte exact."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from toolbox.errors import ToolboxError
from toolbox.request import CHUNK
from toolbox.writing import write_all
from toolbox_files.models import ReplaceResult
from toolbox_files.text import check_text

OpenSource = Callable[[str], BinaryIO]
OpenTarget = Callable[[str], AbstractContextManager[BinaryIO]]


def replace_in_files(
    files: list[str], old: bytes, new: bytes, open_source: OpenSource, open_target: OpenTarget
) -> list[ReplaceResult]:
    """Replace ``old`` by ``new`` in each of ``files``; one result for each, in order.

    A file without ``old`` is not written, nor is one that is no text.
    """
    results = []
    for name in files:
        try:
            with open_source(name) as source:
                if _occurs(source, old):
                    source.seek(0)
                    with open_target(name) as target:
                        for block in replaced(_text_blocks(source), old, new):
                            write_all(target, block)
        except ToolboxError as error:
            results.append(ReplaceResult(file=name, success=False, error=error.message))
        else:
            results.append(ReplaceResult(file=name, success=True))
    return results


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

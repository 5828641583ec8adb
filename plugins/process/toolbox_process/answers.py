"""JSON answers with output in them: however long that is, only a piece of it is in memory.

A byte that isn't UTF-8 takes six in all while it is decoded and encoded, so a few large answers at
once would take more memory than a small sandbox has, and the service with it. What is long is
therefore encoded while it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from typing import Protocol

import msgspec

from toolbox.response import JSON
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_process.spool import Spool

IN_MEMORY = 256 * 1024
"""Bytes of output in an answer that is made at once."""


class Long(Protocol):
    """Text that may be too long for memory."""

    size: int
    """About how many bytes it has."""

    def pieces(self) -> Iterator[str]:
        """The text."""


def answer_with(
    kind: type[msgspec.Struct],
    spool: Spool,
    headers: dict[str, str],
    long: dict[str, Long],
    **others: Any,
) -> Answer | StreamAnswer:
    """A ``kind`` with ``long`` texts and other values as its members, made at once if the texts are
    short. What is in ``spool`` stays there until it is sent.
    """
    if sum(text.size for text in long.values()) <= IN_MEMORY:
        texts = {name: "".join(text.pieces()) for name, text in long.items()}
        return Answer(kind(**texts, **others), headers=headers)
    return StreamAnswer(_Body(kind, spool, long, others), JSON, headers=headers)


class _Body:
    """The bytes of a JSON object."""

    def __init__(
        self,
        kind: type[msgspec.Struct],
        spool: Spool,
        long: dict[str, Long],
        others: dict[str, Any],
    ) -> None:
        self._kind = kind
        self._long = long
        self._others = others
        self._held = ExitStack()
        self._held.enter_context(spool.held())

    def __iter__(self) -> Iterator[bytes]:
        before = b"{"
        for field in msgspec.structs.fields(self._kind):
            name = msgspec.json.encode(field.encode_name)
            if field.name in self._long:
                yield before + name + b':"'
                for piece in self._long[field.name].pieces():
                    yield msgspec.json.encode(piece)[1:-1]
                yield b'"'
            elif (value := self._others.get(field.name, field.default)) is not msgspec.UNSET:
                yield before + name + b":" + msgspec.json.encode(value)
            else:
                continue
            before = b","
        yield b"}"

    def close(self) -> None:
        """Let go of what was not sent, too."""
        self._held.close()

"""JSON responses with output of any length, of which only a piece at a time is in memory.

A byte that isn't UTF-8 takes six while it is decoded and encoded, so a few large responses at the
same time could exhaust the memory of a small sandbox. Long output is encoded while it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from typing import Protocol

import msgspec

from toolbox.response import JSON
from toolbox.response import JsonResponse
from toolbox.response import StreamResponse
from toolbox_process.engine.spool import Spool

IN_MEMORY = 256 * 1024
"""Maximum bytes of output in a response that is built in memory."""


class LongText(Protocol):
    """Text that may be too long for memory."""

    size: int
    """The approximate number of bytes."""

    def pieces(self) -> Iterator[str]:
        """Yield the text."""


def long_json_response(
    kind: type[msgspec.Struct],
    spool: Spool,
    headers: dict[str, str],
    long: dict[str, LongText],
    **others: Any,
) -> JsonResponse | StreamResponse:
    """Return a ``kind`` with ``long`` texts and other values as its members.

    It is encoded while it is sent unless the texts are short; ``spool`` is held until then.
    """
    if sum(text.size for text in long.values()) <= IN_MEMORY:
        texts = {name: "".join(text.pieces()) for name, text in long.items()}
        return JsonResponse(kind(**texts, **others), headers=headers)
    return StreamResponse(_Body(kind, spool, long, others), JSON, headers=headers)


class _Body:
    """The bytes of a JSON object."""

    def __init__(
        self,
        kind: type[msgspec.Struct],
        spool: Spool,
        long: dict[str, LongText],
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
                # Without the quotes: the pieces are parts of one string.
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
        """Release the spool."""
        self._held.close()

"""Reading the journals of previous workers. Their format is in
:mod:`toolbox_process.engine.journals`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from toolbox_process.engine.ends import Reason
from toolbox_process.engine.journals.session import BEGIN
from toolbox_process.engine.journals.session import FRAME
from toolbox_process.engine.journals.session import LOST
from toolbox_process.engine.journals.session import SESSION
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool


@dataclass
class Head:
    """A command without its output; ``cut`` if more was written than is kept."""

    number: int
    id: str
    text: str
    exit_code: int | None = None
    reason: Reason | None = None
    cut: bool = False


def read_session_id(directory: Path) -> str:
    """Return the session's id. Raises OSError, ValueError."""
    session_id = json.loads((directory / SESSION).read_text())
    if not isinstance(session_id, str):
        raise ValueError("the journal has no session id")
    return session_id


def _frames(directory: Path) -> Iterator[tuple[int, int, memoryview]]:
    """Yield the kind, the command's number and the content of each frame. Raises OSError."""
    for path in sorted(directory.glob("[0-9]*")):
        try:
            data = memoryview(path.read_bytes())
        except FileNotFoundError:  # Another thread has just forgotten the command.
            return
        at = 0
        while at + FRAME.size <= len(data):
            kind, number, length = FRAME.unpack_from(data, at)
            at += FRAME.size
            # The last frame may be incomplete: a write is cut short when the writer is killed.
            yield kind, number, data[at : at + length]
            at += length


def read_heads(directory: Path) -> list[Head]:
    """Return the commands of a session, the oldest first. Raises OSError."""
    heads: dict[int, Head] = {}
    for kind, number, data in _frames(directory):
        # Output is read when a client asks for it.
        if kind in (OUT, ERR):
            continue
        text = bytes(data).decode("utf-8", "replace")
        with suppress(ValueError):
            # A begin frame may be followed by the end, in one write.
            if kind == BEGIN and number not in heads:
                begin, at = json.JSONDecoder().raw_decode(text)
                heads[number] = Head(number, *begin)
                text = text[at:].strip()
            if text and number in heads:
                _read_end(heads[number], text)
    return sorted(heads.values(), key=lambda head: head.number)


def _read_end(head: Head, text: str) -> None:
    exit_code, reason, head.cut = json.loads(text)
    if exit_code is not None:
        head.exit_code, head.reason = exit_code, Reason(reason)


def replay(directory: Path, head: Head, spool: Spool) -> None:
    """Append a command's kept output to ``spool``. Raises OSError."""
    for kind, number, data in _frames(directory):
        if number == head.number and kind in (OUT, ERR):
            spool.append(bytes(data), kind)
    if head.cut:
        spool.append(LOST, ERR)

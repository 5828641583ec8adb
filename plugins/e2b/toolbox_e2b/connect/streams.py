"""Responses that are streams of messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox.http.connection import elsewhere
from toolbox_e2b.connect.frames import END
from toolbox_e2b.connect.frames import frame
from toolbox_e2b.errors import ProcedureError
from toolbox_e2b.errors import procedure_error

log = logging.getLogger("toolbox")

Events = Generator[msgspec.Struct, None, None]


class ClientGone(Exception):
    """The client has disconnected: nothing more needs to be sent."""


class EndOfStream(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of the last frame."""

    error: ProcedureError | None = None


class Frames:
    """The body of a response: each of ``events`` in a frame, then how they have ended.

    ``on_close()`` is called once, at the end.
    """

    def __init__(
        self, events: Events, environ: dict[str, Any], on_close: Callable[[], object]
    ) -> None:
        self._events = events
        self._environ = environ
        self._on_close: Callable[[], object] | None = on_close

    def __iter__(self) -> Iterator[bytes]:
        end = EndOfStream()
        # The thread waits for a program, perhaps for hours: others have its place meanwhile.
        with elsewhere(self._environ):
            try:
                for event in self._events:
                    yield frame(msgspec.json.encode(event))
            except ClientGone:
                return
            except ToolboxError as error:
                end = EndOfStream(procedure_error(error))
            except Exception:
                # A status can't be sent any more: the stream has begun.
                log.exception("a stream of events failed")
                end = EndOfStream(ProcedureError("internal", "internal error; see the log"))
        # Clients take a stream without its last frame for one that broke.
        yield frame(msgspec.json.encode(end), END)

    def close(self) -> None:
        """Stop the events."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            with suppress(RuntimeError):
                self._events.close()
            on_close()


def failed(error: ToolboxError) -> Events:
    """Return no events but ``error``."""
    yield from ()  # A generator, so that the error ends the stream.
    raise error

"""Looking for a pattern in the output of a run."""

from __future__ import annotations

from collections.abc import Callable

from toolbox.sockets.loop import Loop
from toolbox_process.engine.spool import Spool
from toolbox_process.matching.on_loop import LoopMatcher
from toolbox_process.matching.wire import Result

WINDOW = 64 * 1024
"""Bytes of output searched at once."""

KEPT = 4096
"""Bytes of an unfinished line that are searched again with what follows."""

AGAIN = 0.5
"""Seconds until the next attempt after the matcher has failed."""


SLOW = (
    "the pattern takes too long to search: a repetition in a repetition, such as (a+)+, may do so"
)


class LogProbe:
    """Reads what a run writes, until the pattern is found in it, and calls ``passed()`` then.

    Lines are searched when they are complete, and before. Used on the loop.
    """

    def __init__(
        self,
        loop: Loop,
        matcher: LoopMatcher,
        spool: Spool,
        offset: int,
        pattern: str,
        passed: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._matcher = matcher
        self._spool = spool
        self._pattern = pattern
        self._passed = passed
        self._offset = offset
        self._lines: dict[int, bytes] = {}
        self._text = ""
        self._asking = False
        self._closed = False
        self.complaint = ""

    def begin(self) -> None:
        """Search what there is already."""
        self.output()

    def output(self) -> None:
        """Search what is new."""
        if self._asking or self._closed:
            return
        chunk = self._spool.read(self._offset, WINDOW)
        self._offset = chunk.end
        if not chunk.data:
            return
        # The streams apart, or a line of one would be cut by the other.
        window = self._lines.get(chunk.stream, b"") + chunk.data
        self._lines[chunk.stream] = window[window.rfind(b"\n") + 1 :][-KEPT:]
        self._asking = True
        self._text = window.decode("utf-8", "replace")
        self._ask()

    def _ask(self) -> None:
        if not self._closed:
            self._matcher.ask(self._pattern, self._text, self._answered)

    def close(self) -> None:
        """Search no more."""
        self._closed = True

    def _answered(self, found: Result | None) -> None:
        # The text is kept: a process that was killed must not cost the line that was awaited.
        if found is None:
            self._loop.call_later(AGAIN, self._ask)
            return
        self._asking = False
        if found == "slow":  # Not tried again: it would take as long.
            self.complaint = SLOW
        if found == "found" and not self._closed:
            self._passed()
        else:
            self.output()

"""Reading a terminal's output until something is found in it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from collections.abc import Sequence

from toolbox.errors import RequestTimeout
from toolbox.linux.clock import awake
from toolbox_swerex.engines import Terminal
from toolbox_swerex.sessions.patterns import Match
from toolbox_swerex.sessions.patterns import first_match

LOOK = 0.5
"""Seconds between two looks at the client."""
PIECE = 1 << 16
MAX_KEPT = 4 * 1024 * 1024
"""Bytes of one action's output that are kept; of more, the middle is left out."""

_LEFT_OUT = b"\n[output left out]\n"


class ShellEnded(Exception):
    """The terminal has ended; ``output`` is what was read until then."""

    def __init__(self, output: bytes) -> None:
        super().__init__("the shell has ended")
        self.output = output


class NotInTime(Exception):
    """Nothing was found in time; ``output`` is what was read until then."""

    def __init__(self, output: bytes) -> None:
        super().__init__("nothing was found in time")
        self.output = output


class Reader:
    """The output of one terminal from ``offset`` on, read by one thread at a time."""

    def __init__(self, terminal: Terminal, offset: int) -> None:
        self._terminal = terminal
        self._offset = offset
        self._kept = bytearray()
        self._searched = 0

    def skip(self) -> None:
        """Forget all that has been written so far."""
        self._offset = self._terminal.spool.end
        self._kept.clear()
        self._searched = 0

    def until(
        self,
        patterns: Sequence[re.Pattern[bytes]],
        deadline: float,
        is_disconnected: Callable[[], bool],
    ) -> tuple[bytes, Match]:
        """Return the output up to the first match, and that; the next call begins after it.

        Raises NotInTime, ShellEnded, RequestTimeout once the client has disconnected.
        """
        more = threading.Event()
        # Before the first look: output that comes between the two would wake nobody.
        self._terminal.follow(more.set)
        try:
            while (found := self._look(patterns)) is None:
                if awake() >= deadline:
                    raise NotInTime(bytes(self._kept))
                if is_disconnected():
                    raise RequestTimeout("client disconnected; its command goes on")
                more.wait(max(0.0, min(LOOK, deadline - awake())))
                more.clear()
            return found
        finally:
            self._terminal.unfollow(more.set)

    def _look(self, patterns: Sequence[re.Pattern[bytes]]) -> tuple[bytes, Match] | None:
        # In this order: what comes between the two is the next look's.
        ended = self._terminal.done.is_set()
        while self._fill():
            match = first_match(patterns, self._kept, self._searched)
            if match is not None:
                return self._take(match)
            self._searched = len(self._kept)
            self._trim()
        if ended:
            raise ShellEnded(bytes(self._kept))
        return None

    def _fill(self) -> bool:
        chunk = self._terminal.spool.read(self._offset, PIECE)
        if not chunk.data:
            # A new look may have other patterns for what is there already.
            return self._searched < len(self._kept)
        # Not by the size alone: the terminal keeps only so much for whoever is late.
        self._offset = chunk.offset + len(chunk.data)
        self._kept += chunk.data
        return True

    def _take(self, match: Match) -> tuple[bytes, Match]:
        before = bytes(self._kept[: match.start])
        del self._kept[: match.end]
        self._searched = 0
        return before, match

    def _trim(self) -> None:
        # The end is kept, too: most errors are there.
        if len(self._kept) > MAX_KEPT:
            half = MAX_KEPT // 2
            self._kept[half - len(_LEFT_OUT) : -half] = _LEFT_OUT
            self._searched = len(self._kept)

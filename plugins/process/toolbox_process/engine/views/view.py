"""A terminal's screen, which is emulated only as far as somebody looks.

The output is in the spool anyway. It is fed to the emulator when a client asks, or before the spool
drops it; of output that scrolls through, no matter how much, only the end is fed. So a terminal
nobody looks at costs next to nothing, and a look costs a bounded time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace

from toolbox.linux.clock import awake
from toolbox_process.emulator.screen import Modes
from toolbox_process.emulator.screen import Screen
from toolbox_process.emulator.sequences import Emulator
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.views.timeline import Timeline

PIECE = 64 * 1024
"""Bytes fed at a time."""

TAIL = 128 * 1024
"""Bytes of output that scrolls through which decide on the screen and what has scrolled off it."""

MOST = 4 * 1024 * 1024
"""Bytes fed at most for one look, however much has come."""

BEHIND = 2 * 1024 * 1024
"""Bytes after which output is fed although nobody looks: the spool keeps only so much."""

RESTS = 5
"""Times as long as a look has taken, in which those who wait take no other."""

# After these nothing of what was drawn before is left: ED, RIS.
_CLEARS = re.compile(rb"\x1b(?:\[2J|c)")

# Sequences that move the cursor up or down, or lines: what they draw isn't scrolled through.
_MOVES = re.compile(rb"\x1b(?:\[[?\d;]*[ABEFHLMSTdefr]|[78DM])")


@dataclass(frozen=True)
class Look:
    """A screen at one moment."""

    offset: int
    """Bytes of output that it shows."""
    size: TerminalSize
    rows: list[str]
    row: int
    column: int
    modes: Modes
    title: str
    alternate: bool
    scrollback: list[str]
    known: bool
    """False if output was skipped that may still show."""


class TerminalView:
    """The screen of one terminal. *Any thread*, unless noted.

    ``submit(work)`` runs blocking work on another thread. With a spool of ``kept`` bytes.
    """

    def __init__(
        self,
        spool: Spool,
        size: TerminalSize,
        term: str,
        kept: int,
        submit: Callable[..., object],
    ) -> None:
        self.term = term
        """The variable ``TERM`` of the program."""
        self.timeline = Timeline(size)
        self.started = awake()
        self._changed = threading.Condition()
        self._watchers = 0
        self.last_output = self.last_input = awake()
        self._spool = spool
        self._behind = min(BEHIND, kept // 4)
        self._submit = submit
        self._lock = threading.Lock()
        self._catching_up = False
        self._emulator: Emulator | None = None
        self._fed = 0
        self._look: Look | None = None
        self._rested = 0.0

    def begin(self, reader: PipeReader) -> None:
        """Watch the output from now on. On the loop, once."""
        self.started = self.last_output = awake()
        reader.listen(self.grown)

    def typed(self) -> None:
        """Note that there was input."""
        self.last_input = awake()

    def grown(self) -> None:
        """Note that there is more output, or that it has ended. On the loop."""
        end = self._spool.end
        self.last_output = awake()
        self.timeline.note_output(end, self.last_output)
        # Nobody waits for most keys' echoes. Who is about to has not looked at the end yet.
        if self._watchers:
            with self._changed:
                self._changed.notify_all()
        if end - self._fed > self._behind and not self._catching_up:
            self._catching_up = True
            self._submit(self._catch_up)

    def wait_for(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``predicate()`` holds, which is asked after each output and at the end; report
        whether it does after ``seconds`` at most.
        """
        with self._changed:
            self._watchers += 1  # Before the first question.
            try:
                return self._changed.wait_for(predicate, seconds)
            finally:
                self._watchers -= 1

    def resized(self, size: TerminalSize) -> None:
        """Note a new size."""
        self.timeline.note_size(self._spool.end, size)

    def look(self) -> Look:
        """Return the present screen, with all that is kept of what has scrolled off it."""
        with self._lock:
            begun = awake()
            self._advance()
            size = self.timeline.last().size
            if self._look is None or (self._look.offset, self._look.size) != (self._fed, size):
                self._look = self._take(size)
            now = awake()
            self._rested = now + RESTS * (now - begun)
            return self._look

    def recent_look(self) -> Look:
        """Return a screen of a moment ago, so that who looks all the time costs little."""
        look = self._look
        return look if look is not None and awake() < self._rested else self.look()

    def _take(self, size: TerminalSize) -> Look:
        screen = self._made().screen
        if (screen.rows, screen.columns) != size:
            screen.resize(*size)
        return Look(
            offset=self._fed,
            size=size,
            rows=screen.text(),
            row=screen.y,
            column=min(screen.x, screen.columns - 1),
            modes=replace(screen.modes),
            title=screen.title,
            alternate=screen.alternate,
            scrollback=list(screen.history),
            known=screen.is_known(),
        )

    def _catch_up(self) -> None:
        try:
            with self._lock:
                # What scrolls through need not be fed now, nor most of it ever.
                if not self._skip_most(self._spool.end):
                    self._advance()
        finally:
            self._catching_up = False

    # With the lock

    def _made(self) -> Emulator:
        if self._emulator is None:
            self._emulator = Emulator(Screen(*self.timeline.size_at(0)))
        return self._emulator

    def _advance(self) -> None:
        """Feed the output up to its present end, or skip what can't show any more."""
        end = self._spool.end
        if not self._skip_most(end) and end - self._fed > MOST:
            self._skip(end - MOST)
        while self._fed < end:
            chunk = self._spool.read(self._fed, min(PIECE, end - self._fed))
            if chunk.offset > self._fed:  # Dropped while nobody could keep up.
                self._made().gap()
            self._feed(chunk.offset, chunk.data)
            self._fed = chunk.end

    def _skip_most(self, end: int) -> bool:
        """Skip the output but the end, if that alone decides; return whether it does."""
        decides = end - self._fed > 2 * TAIL and self._decides(end - TAIL, end)
        if decides:
            self._skip(end - TAIL)
        return decides

    def _decides(self, start: int, end: int) -> bool:
        """Report whether the output there alone decides on the screen."""
        lines, moves = 0, False
        while start < end:
            chunk = self._spool.read(start, min(PIECE, end - start))
            if _CLEARS.search(chunk.data):
                return True
            moves = moves or bool(_MOVES.search(chunk.data))
            lines += chunk.data.count(b"\n")
            start = chunk.end
        return not moves and lines > 2 * self.timeline.last().size.rows

    def _skip(self, end: int) -> None:
        emulator = self._made()
        while self._fed < end:
            chunk = self._spool.read(self._fed, min(16 * PIECE, end - self._fed))
            if b"\x1b" in chunk.data:
                emulator.skip(chunk.data)
            self._fed = chunk.end
        emulator.gap()
        # Begin with a line or a sequence, not in the middle of one.
        start = self._spool.read(self._fed, PIECE)
        found = re.search(rb"\n|(?=\x1b)", start.data)
        self._fed = start.offset + (found.end() if found else 0)
        self._resize_to(self._fed)

    def _feed(self, offset: int, data: bytes) -> None:
        """Feed ``data``, with the sizes that the terminal had in between."""
        emulator = self._made()
        self._resize_to(offset)
        done = offset
        for resize in self.timeline.sizes_after(offset):
            if resize.offset >= offset + len(data):
                break
            emulator.feed(data[done - offset : resize.offset - offset])
            done = resize.offset
            emulator.screen.resize(*resize.size)
        emulator.feed(data[done - offset :])

    def _resize_to(self, offset: int) -> None:
        screen, size = self._made().screen, self.timeline.size_at(offset)
        if (screen.rows, screen.columns) != size:
            screen.resize(*size)

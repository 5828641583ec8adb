"""A terminal's screen: cells, cursor and modes, and how text gets there.

Colors and other attributes are left out: the screen is read as text.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from dataclasses import field

from toolbox_process.emulator.grid import BLANK
from toolbox_process.emulator.grid import TAIL
from toolbox_process.emulator.grid import Grid
from toolbox_process.emulator.widths import is_narrow
from toolbox_process.emulator.widths import width

HISTORY = 1000
"""Lines kept that have scrolled off the top."""

MAX_COMBINED = 16
"""Characters in one cell: more that combine are dropped, or a program could fill the memory."""

MAX_TITLE = 1000

_TAB = 8
_WIDEST = 1000

# The special graphics of a VT100 (xterm's ctlseqs, "Character Set"), from "`" to "~".
_LINE_DRAWING = {
    0x60 + index: character for index, character in enumerate("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")
}


@dataclass
class Modes:
    """The modes that a program has set on its terminal."""

    application_cursor: bool = False
    autowrap: bool = True
    bracketed_paste: bool = False
    cursor_visible: bool = True
    insert: bool = False
    origin: bool = False
    graphics: list[bool] = field(default_factory=lambda: [False, False])
    """True for the sets of characters (G0, G1) that draw lines."""
    shift: int = 0
    """Index of the set in use."""


class Screen:
    """The screen of a terminal of ``rows`` and ``columns``."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        self.reset()

    def reset(self) -> None:
        """Be as at the start (RIS)."""
        self.history: deque[str] = deque(maxlen=HISTORY)
        self.title = ""
        self.modes = Modes()
        self.alternate = False
        self.x = self.y = 0  # ``x`` may be ``columns``: the next character wraps.
        self.top, self.bottom = 0, self.rows - 1
        self.tabs = set(range(_TAB, _WIDEST, _TAB))
        self.grid = Grid(self.rows, self.columns, self.history)
        self._hidden = Grid(self.rows, self.columns, None)
        self._saved = [(0, 0), (0, 0)]  # For the main and the alternate screen.
        self._last = BLANK

    # Text

    def draw(self, text: str) -> None:
        """Write characters at the cursor."""
        if self.modes.graphics[self.modes.shift]:
            text = text.translate(_LINE_DRAWING)
        self._last = text[-1]
        if self.modes.insert or not self.modes.autowrap or not is_narrow(text):
            for character in text:
                self._draw_one(character)
            return
        done, columns = 0, self.columns
        while done < len(text):
            if self.x >= columns:
                self.x = 0
                self.line_feed()
            piece = text[done : done + columns - self.x]
            self.grid.lines[self.y].put(self.x, piece)
            self.x += len(piece)
            done += len(piece)

    def _draw_one(self, character: str) -> None:
        cells = width(character)
        if not cells:
            self._combine(character)
            return
        cells = min(cells, self.columns)
        if self.x + cells > self.columns:
            if self.modes.autowrap:
                self.x = 0  # A wide character isn't cut: it goes to the next line.
                self.line_feed()
            else:
                self.x = self.columns - cells
        line = self.grid.lines[self.y]
        if self.modes.insert:
            line.insert(self.x, cells)
        line.put(self.x, (character, TAIL)[:cells])
        self.x += cells
        if not self.modes.autowrap:
            self.x = min(self.x, self.columns - 1)

    def _combine(self, character: str) -> None:
        cells, x = self.grid.lines[self.y].cells, self.x - 1
        if x > 0 and cells[x] == TAIL:
            x -= 1
        if x >= 0 and len(cells[x]) < MAX_COMBINED:
            cells[x] += character

    def repeat(self, count: int) -> None:
        """Write the last character again (REP)."""
        self.draw(self._last * min(count, self.rows * self.columns))

    # Lines

    def line_feed(self) -> None:
        """Move down, and scroll at the bottom (IND)."""
        if self.y == self.bottom:
            self.grid.scroll_up(self.top, self.bottom)
        elif self.y < self.rows - 1:
            self.y += 1

    def reverse_line_feed(self) -> None:
        """Move up, and scroll at the top (RI)."""
        if self.y == self.top:
            self.grid.scroll_down(self.top, self.bottom)
        elif self.y:
            self.y -= 1

    def insert_lines(self, count: int) -> None:
        """Insert blank lines at the cursor (IL)."""
        if self.top <= self.y <= self.bottom:
            self.grid.scroll_down(self.y, self.bottom, count)
            self.x = 0

    def delete_lines(self, count: int) -> None:
        """Delete lines at the cursor (DL)."""
        if self.top <= self.y <= self.bottom:
            # Not off the top: nothing of it belongs to the history.
            history, self.grid.history = self.grid.history, None
            self.grid.scroll_up(self.y, self.bottom, count)
            self.grid.history = history
            self.x = 0

    # The cursor

    def move_to(self, row: int | None = None, column: int | None = None) -> None:
        """Move to a position, counted from 0; None leaves a coordinate as it is. Beyond an edge it
        is the edge.
        """
        # A cursor that is moved doesn't wrap any more.
        last = self.columns - 1
        column = self.x if column is None else column
        self.x = last if column > last else column
        if row is None:
            return
        if self.modes.origin:
            self.y = min(row + self.top, self.bottom)
        else:
            self.y = row if row < self.rows else self.rows - 1

    def move_by(self, rows: int = 0, columns: int = 0) -> None:
        """Move by some cells, within the scroll region if the cursor is in it."""
        self.x = max(0, min(min(self.x, self.columns - 1) + columns, self.columns - 1))
        if rows < 0:
            self.y = max(self.y + rows, self.top if self.y >= self.top else 0)
        elif rows:
            limit = self.bottom if self.y <= self.bottom else self.rows - 1
            self.y = min(self.y + rows, limit)

    def move_lines(self, rows: int) -> None:
        """Move to the start of a line below or above (CNL, CPL)."""
        self.move_by(rows=rows)
        self.x = 0

    def tab(self, count: int) -> None:
        """Move to a tab stop, back if ``count`` is negative (HT, CHT, CBT)."""
        for _ in range(min(abs(count), self.columns)):
            if count > 0:
                ahead = (stop for stop in self.tabs if stop > self.x)
                self.x = min(min(ahead, default=_WIDEST), self.columns - 1)
            else:
                self.x = max((stop for stop in self.tabs if stop < self.x), default=0)

    def save_cursor(self) -> None:
        """Remember the cursor (DECSC)."""
        self._saved[self.alternate] = (self.y, self.x)

    def restore_cursor(self) -> None:
        """Move to where the cursor was remembered (DECRC)."""
        y, x = self._saved[self.alternate]
        self.y, self.x = min(y, self.rows - 1), min(x, self.columns)

    def set_region(self, top: int, bottom: int) -> None:
        """Set the lines that scroll, counted from 0 (DECSTBM)."""
        bottom = min(bottom, self.rows - 1)
        if top < bottom:
            self.top, self.bottom = top, bottom
            self.move_to(0, 0)

    # The whole

    def switch(self, alternate: bool, clear: bool = False) -> None:
        """Show the alternate screen or the main one."""
        if alternate != self.alternate:
            self.grid, self._hidden = self._hidden, self.grid
            self.alternate = alternate
        if clear:
            self.grid.erase_lines(0, self.rows)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size."""
        # The cursor of the main screen, while that is hidden, is the one saved at the switch.
        removed = self.grid.resize(rows, columns, self.y)
        self._hidden.resize(rows, columns, self._saved[not self.alternate][0])
        self.rows, self.columns = rows, columns
        self.top, self.bottom = 0, rows - 1
        self.y = max(0, min(self.y - removed, rows - 1))
        self.x = min(self.x, columns)

    def forget(self) -> None:
        """Note that the output has a gap here."""
        self.grid.forget()
        self._hidden.forget()
        # Most likely, and certain once that many lines have come.
        self.y, self.x = self.bottom, 0

    def is_known(self) -> bool:
        """Report whether all of it is what the program has drawn, whatever gaps there were."""
        return self.grid.is_known()

    def text(self) -> list[str]:
        """Return the lines, without the blanks at their ends; that of the cursor, up to it, with
        them: a prompt ends with one.
        """
        lines = [line.text() for line in self.grid.lines]
        cells = self.grid.lines[self.y].cells
        lines[self.y] = "".join(cells[: self.x]) + "".join(cells[self.x :]).rstrip(BLANK)
        return lines

"""The cells of a screen: lines of characters, scrolled, erased and resized."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from toolbox_process.emulator.widths import width

BLANK = " "
TAIL = ""
"""The second cell of a wide character."""


class Line:
    """A line of cells: a character with what combines with it, :data:`BLANK` or :data:`TAIL`."""

    __slots__ = ("cells", "known")

    def __init__(self, columns: int) -> None:
        self.cells: list[str] = [BLANK] * columns
        self.known = columns
        """Cells from the left whose content is known: after a gap in the output, none."""

    def text(self) -> str:
        """Return the text, without the blanks at its end."""
        return "".join(self.cells).rstrip(BLANK)

    def is_known(self) -> bool:
        """Report whether every cell's content is known."""
        return self.known >= len(self.cells)

    def put(self, x: int, piece: Sequence[str]) -> None:
        """Replace the cells from ``x`` on, all of which must be there."""
        cells, end = self.cells, x + len(piece)
        # Half of a wide character doesn't stay: terminals blank the other half.
        if cells[x] == TAIL and x:
            cells[x - 1] = BLANK
        if end < len(cells) and cells[end] == TAIL:
            cells[end] = BLANK
        cells[x:end] = piece
        if x <= self.known < end:
            self.known = end

    def insert(self, x: int, count: int) -> None:
        """Insert blanks at ``x``; what is moved beyond the edge is lost."""
        if self.cells[x] == TAIL:
            self.put(x, BLANK)
        columns = len(self.cells)
        self.cells[x:x] = [BLANK] * min(count, columns - x)
        self.resize(columns)

    def delete(self, x: int, count: int) -> None:
        """Delete cells at ``x``; the rest of the line moves left."""
        columns = len(self.cells)
        count = min(count, columns - x)
        self.put(x, [BLANK] * count)
        del self.cells[x : x + count]
        self.cells += [BLANK] * count

    def resize(self, columns: int) -> None:
        """Cut or extend the line."""
        # What is not known stays so: the new cells are on its right.
        known = columns if self.is_known() else min(self.known, columns - 1)
        del self.cells[columns:]
        self.cells += [BLANK] * (columns - len(self.cells))
        self.known = known
        last = self.cells[-1]
        if last and not last.isascii() and width(last[0]) == 2:
            self.cells[-1] = BLANK  # Its other half is beyond the edge.


class Grid:
    """``rows`` lines. Those that scroll off its top go to ``history``, if there is one."""

    def __init__(self, rows: int, columns: int, history: deque[str] | None) -> None:
        self.rows = rows
        self.columns = columns
        self.history = history
        self.lines = [Line(columns) for _ in range(rows)]

    def scroll_up(self, top: int, bottom: int, count: int = 1) -> None:
        """Remove lines at ``top``, and add blank ones at ``bottom``."""
        for _ in range(min(count, bottom - top + 1)):
            gone = self.lines.pop(top)
            self.lines.insert(bottom, Line(self.columns))
            if top == 0 and self.history is not None and gone.is_known():
                self.history.append(gone.text())

    def scroll_down(self, top: int, bottom: int, count: int = 1) -> None:
        """Remove lines at ``bottom``, and add blank ones at ``top``."""
        for _ in range(min(count, bottom - top + 1)):
            del self.lines[bottom]
            self.lines.insert(top, Line(self.columns))

    def erase(self, y: int, start: int, stop: int) -> None:
        """Blank the cells from ``start`` up to ``stop`` of line ``y``."""
        stop = min(stop, self.columns)
        if start == 0 and stop == self.columns:
            self.lines[y] = Line(self.columns)
        elif start < stop:
            self.lines[y].put(start, [BLANK] * (stop - start))

    def erase_lines(self, start: int, stop: int) -> None:
        """Blank whole lines."""
        for y in range(start, stop):
            self.lines[y] = Line(self.columns)

    def resize(self, rows: int, columns: int, cursor: int) -> int:
        """Change the size; return the number of lines that were removed above the cursor's.

        As xterm does it: blank lines below the cursor go first, then those at the top. Lines that
        were wrapped stay so, since the program draws anew (SIGWINCH).
        """
        while len(self.lines) > max(rows, cursor + 1):
            self.lines.pop()
        removed = len(self.lines) - rows
        if removed > 0:
            self.scroll_off(removed)
        while len(self.lines) < rows:
            self.lines.append(Line(columns))
        for line in self.lines:
            line.resize(columns)
        self.rows, self.columns = rows, columns
        return max(0, removed)

    def scroll_off(self, count: int) -> None:
        """Move lines from the top to the history."""
        gone, self.lines = self.lines[:count], self.lines[count:]
        if self.history is not None:
            self.history.extend(line.text() for line in gone if line.is_known())

    def forget(self) -> None:
        """Note that the output has a gap: no cell's content is known."""
        for line in self.lines:
            line.known = 0
        if self.history is not None:
            self.history.clear()

    def is_known(self) -> bool:
        """Report whether every cell's content is known."""
        return all(line.is_known() for line in self.lines)

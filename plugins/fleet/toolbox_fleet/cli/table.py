"""Tables for terminals."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "

LEAST = 8
"""Columns that a shortened cell keeps."""


def table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return lines with aligned columns, the first row being the heads. Columns in which no row has
    a text are left out.

    Lines longer than ``width`` are shortened in the widest cells; None shortens nothing, for
    programs that read them.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    used = [index for index in range(len(cells[0])) if any(row[index] for row in cells[1:])]
    cells = [[row[index] for index in used] for row in cells]
    widths = [max(columns(row[index]) for row in cells) for index in range(len(used))]
    if width is not None:
        _shrink(widths, width - len(GAP) * (len(widths) - 1))
    return [
        GAP.join(_fit(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _shrink(widths: list[int], width: int) -> None:
    """Take from the widest until all fit, as far as something useful is left of each."""
    while sum(widths) > width and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1


def plain(text: str) -> str:
    """Return ``text`` without what a terminal would obey: names and labels are from strangers."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def columns(text: str) -> int:
    """Return the columns that ``text`` takes on a terminal."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _fit(text: str, size: int) -> str:
    """Return ``text`` in exactly ``size`` columns."""
    if columns(text) > size:
        while columns(text) > size - 1:
            text = text[:-1]
        text += "\u2026"
    return text + " " * (size - columns(text))

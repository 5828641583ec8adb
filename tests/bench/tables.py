"""Tables of reStructuredText, and the file they are kept in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

TITLE = """Results
=======

Written by ``python tests/bench --write``: medians, each limit from the same run. The last column
tells which target was reached.
"""


def table(lines: Sequence[Sequence[str]]) -> str:
    """A simple table; the first line is its head. No first cell may be empty."""
    widths = [max(len(cell) for cell in column) or 1 for column in zip(*lines, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([rule, text[0], rule, *text[1:], rule]) + "\n"


def write_section(file: Path, name: str, note: str, lines: Sequence[Sequence[str]]) -> None:
    """Write the table ``name`` into ``file``, in the place of the one of that name."""
    text = file.read_text() if file.exists() else ""
    parts = re.split(r"^(\w+)\n-+\n", text, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    sections[name] = f"\n{note}\n\n{table(lines)}"
    body = [
        f"{key}\n{'-' * len(key)}\n{value.rstrip()}\n" for key, value in sorted(sections.items())
    ]
    file.write_text("\n".join([TITLE, *body]))

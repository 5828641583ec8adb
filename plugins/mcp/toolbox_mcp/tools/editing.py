"""Edits of a text as models write them: exactly, or line by line but for the indentation."""

from __future__ import annotations

from toolbox_mcp.tool import ToolFailure

SHOWN = 500
"""Characters of a text that wasn't found in the error."""


def replace_once(content: str, old: str, new: str) -> str:
    """Return ``content`` with the first ``old`` replaced. Raises ToolFailure if there is none.

    Where ``old`` doesn't occur exactly, lines are compared without the spaces around them, and the
    new ones are indented as the old ones are.
    """
    if old in content:
        return content.replace(old, new, 1)
    lines, wanted = content.split("\n"), old.split("\n")
    start = find_lines(lines, wanted)
    if start is None:
        raise ToolFailure(f"Could not find exact match for edit:\n{old[:SHOWN]}")
    indented = _indented(new.split("\n"), wanted, _indentation(lines[start]))
    return "\n".join([*lines[:start], *indented, *lines[start + len(wanted) :]])


def find_lines(lines: list[str], wanted: list[str]) -> int | None:
    """Return the index of the first run of lines that are as ``wanted``, spaces around them aside.

    Linear in both, as Knuth, Morris and Pratt do it: a file may repeat one line a million times.
    """
    have, want = [line.strip() for line in lines], [line.strip() for line in wanted]
    if not any(want):
        return None  # Blank lines are everywhere.
    fallback = _fallbacks(want)
    matched = 0
    for index, line in enumerate(have):
        while matched and line != want[matched]:
            matched = fallback[matched - 1]
        matched += line == want[matched]
        if matched == len(want):
            return index - len(want) + 1
    return None


def _fallbacks(want: list[str]) -> list[int]:
    """Return for each line the length of the longest beginning that also ends there."""
    found = [0] * len(want)
    length = 0
    for index in range(1, len(want)):
        while length and want[index] != want[length]:
            length = found[length - 1]
        length += want[index] == want[length]
        found[index] = length
    return found


def _indented(new: list[str], old: list[str], base: str) -> list[str]:
    """Return the new lines, moved by as much as the file's line is from the edit's."""
    found = [base + new[0].lstrip()]
    for index, line in enumerate(new[1:], 1):
        before = _indentation(old[index]) if index < len(old) else ""
        own = _indentation(line)
        if before and own:
            line = base + " " * max(0, len(own) - len(before)) + line.lstrip()
        found.append(line)
    return found


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]

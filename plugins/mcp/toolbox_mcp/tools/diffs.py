"""Unified diffs of two versions of a file, as git shows them."""

from __future__ import annotations

import difflib

CONTEXT = 3
"""Unchanged lines around a change."""

MAX_COMPARED = 4000
"""Changed lines that are compared with each other; more are shown as one change. Comparing takes
time by their square in the worst case.
"""


def unified_diff(old: str, new: str, name: str) -> str:
    """Return the diff, empty if there is none."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    if head == len(before) == len(after):
        return ""
    lines = [f"--- a/{name.lstrip('/')}\n", f"+++ b/{name.lstrip('/')}\n"]
    # Only what differs is compared, with the context: files may be long.
    start, end = max(0, head - CONTEXT), max(0, tail - CONTEXT)
    lines += _hunks(before[start : len(before) - end], after[start : len(after) - end], start)
    return "".join(map(_ended, lines))


def _common(one: list[str], other: list[str]) -> int:
    """Return the number of lines at the beginning that are the same in both."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _hunks(before: list[str], after: list[str], offset: int) -> list[str]:
    if len(before) + len(after) > MAX_COMPARED:
        groups = [[("replace", 0, len(before), 0, len(after))]]
    else:
        matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
        groups = list(matcher.get_grouped_opcodes(CONTEXT))
    lines: list[str] = []
    for group in groups:
        first, last = group[0], group[-1]
        old = _range(first[1] + offset, last[2] + offset)
        lines.append(f"@@ -{old} +{_range(first[3] + offset, last[4] + offset)} @@\n")
        for kind, i, j, k, end in group:
            if kind == "equal":
                lines += [f" {line}" for line in before[i:j]]
                continue
            lines += [f"-{line}" for line in before[i:j]]
            lines += [f"+{line}" for line in after[k:end]]
    return lines


def _range(start: int, stop: int) -> str:
    """Return a range of lines as diff(1) writes it: an empty one is named by the line before."""
    length = stop - start
    return f"{start + 1},{length}" if length else f"{start},0"


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"

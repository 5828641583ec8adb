"""Applying the hunks of a diff to a file's content.

Context must match byte for byte, as ``git apply`` wants it; there is no fuzz. The lines of a hunk
may be elsewhere than its header says: the nearest place after the hunk before is taken.
"""

from __future__ import annotations

import time

from toolbox.errors import RequestTimeout
from toolbox_files.patch_models import HunkConflict
from toolbox_files.patch_models import PatchedHunk
from toolbox_files.text.diffs import Hunk

SHOWN_LINES = 30
SHOWN_BYTES = 4000
"""Of the expected and the found text in a conflict, at most."""

SECONDS = 20.0
"""Time for one file at most."""

_BLOCK = 64 * 1024
_NEWLINE = 10


class Misfit(Exception):
    """Hunks that don't fit."""

    def __init__(self, conflicts: list[HunkConflict]) -> None:
        super().__init__()
        self.conflicts = conflicts


def apply_hunks(name: str, content: bytes, hunks: list[Hunk]) -> tuple[bytes, list[PatchedHunk]]:
    """Return ``content`` after all hunks, and where each was applied. Raises Misfit."""
    carriage = content.count(b"\r\n")
    # Diffs that models write have no carriage returns, whatever the file has.
    convert = bool(
        carriage
        and carriage == content.count(b"\n")
        and not any(b"\r\n" in hunk.old + hunk.new for hunk in hunks)
    )
    applying = _Applying(name, content)
    for number, hunk in enumerate(hunks, 1):
        old, new = hunk.old, hunk.new
        if convert:
            old, new = old.replace(b"\n", b"\r\n"), new.replace(b"\n", b"\r\n")
        applying.apply(number, hunk, old, new)
    if applying.conflicts:
        raise Misfit(applying.conflicts)
    return applying.result(), applying.applied


class _Applying:
    """The state between two hunks."""

    def __init__(self, name: str, content: bytes) -> None:
        self._name = name
        self._content = content
        self._deadline = time.monotonic() + SECONDS
        self._pieces: list[bytes] = []
        self._offset, self._line = 0, 1
        """The end of the hunk before, in the old content."""
        self._drift = 0
        """Lines between the hunk before and its header's line."""
        self._growth = 0
        """Lines that the hunks before have added."""
        self._is_last = False
        """True while a hunk ends without a newline, so that no line can follow it."""
        self.applied: list[PatchedHunk] = []
        self.conflicts: list[HunkConflict] = []

    def result(self) -> bytes:
        return b"".join([*self._pieces, self._content[self._offset :]])

    def apply(self, number: int, hunk: Hunk, old: bytes, new: bytes) -> None:
        # The header of a hunk without old lines names the line before it.
        wanted = hunk.line + (not hunk.size) + self._drift
        expected = self._offset_of(wanted)
        self._is_last = bool(new) and not new.endswith(b"\n")
        found = self._find(old, expected)
        if found is None:
            self.conflicts.append(self._conflict(number, hunk, old, new, wanted, expected))
            return
        line = self._line + self._content.count(b"\n", self._offset, found)
        self._pieces += [self._content[self._offset : found], new]
        self.applied.append(PatchedHunk(line=line + self._growth, moved=line - wanted))
        self._drift += line - wanted
        self._growth += new.count(b"\n") - old.count(b"\n")
        self._offset, self._line = found + len(old), line + old.count(b"\n")

    def _offset_of(self, line: int) -> int:
        """Return the offset of a line, or -1 if there is none after the hunk before."""
        left, offset = line - self._line, self._offset
        if left < 0:
            return -1
        while left:
            block = self._content[offset : offset + _BLOCK]
            count = block.count(b"\n")
            if count >= left:
                return offset + len(block) - len(block.split(b"\n", left)[-1])
            if not block:
                return -1
            left -= count
            offset += len(block)
        return offset

    def _find(self, old: bytes, expected: int) -> int | None:
        if not old:
            # Without a text to look for, only the line tells the place.
            return expected if expected >= 0 and self._fits(old, expected) else None
        if expected >= 0 and self._fits(old, expected):
            return expected
        start = max(expected, self._offset)
        after = self._forward(old, start, len(self._content))
        before = self._backward(old, start)
        if after is None or before is None:
            return before if after is None else after
        content = self._content
        lines_after = content.count(b"\n", start, after)
        return before if content.count(b"\n", before, start) <= lines_after else after

    def _fits(self, old: bytes, offset: int) -> bool:
        """Report whether the whole lines ``old`` are at ``offset``, the beginning of a line."""
        can_go_on = not self._is_last and (not old or old.endswith(b"\n"))
        return self._content.startswith(old, offset) and (
            can_go_on or offset + len(old) == len(self._content)
        )

    def _forward(self, old: bytes, offset: int, end: int) -> int | None:
        """Return the first place of ``old`` in this part of the content, None if there is none."""
        content = self._content
        while (offset := content.find(old, offset, end)) >= 0:
            if (not offset or content[offset - 1] == _NEWLINE) and self._fits(old, offset):
                return offset
            offset = self._next_line(offset)
        return None

    def _backward(self, old: bytes, limit: int) -> int | None:
        """Return the last place of ``old`` before ``limit``, None if there is none."""
        # Not by rfind(), whose time is not linear.
        low, width = limit, _BLOCK
        while low > self._offset:
            high, low, width = low, max(self._offset, low - width), 2 * width
            last, offset = None, low
            while (place := self._forward(old, offset, high - 1 + len(old))) is not None:
                last, offset = place, self._next_line(place)
            if last is not None:
                return last
        return None

    def _next_line(self, offset: int) -> int:
        if time.monotonic() > self._deadline:
            raise RequestTimeout(f"{self._name}: too many places where a hunk nearly fits")
        return self._content.find(b"\n", offset) + 1 or len(self._content)

    def _conflict(
        self, number: int, hunk: Hunk, old: bytes, new: bytes, wanted: int, expected: int
    ) -> HunkConflict:
        found = self._content[expected : expected + 2 * SHOWN_BYTES] if expected >= 0 else b""
        reason = "the text to replace is not there"
        if new and expected >= 0 and self._fits(new, expected):
            reason = "the hunk seems to be applied already"
        elif self._is_last or (old.strip() and self._content.endswith(old.rstrip(b"\r\n"))):
            reason = "the file ends without a newline, or the hunk does"
        return HunkConflict(
            path=self._name,
            reason=reason,
            hunk=number,
            header=hunk.header,
            line=max(1, wanted),
            expected=_shown(old, hunk.size),
            found=_shown(found, hunk.size or 3),
        )


def _shown(text: bytes, lines: int) -> str:
    kept = text[:SHOWN_BYTES].split(b"\n")[: min(lines, SHOWN_LINES)]
    return b"\n".join(kept).decode("utf-8", "replace")

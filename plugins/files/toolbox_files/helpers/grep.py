"""Finding lines that match a regular expression, with the lines around them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from collections.abc import Iterator

from toolbox_files.helpers.lines import all_lines
from toolbox_files.helpers.lines import matching_lines

SHOWN_BEFORE = 5
"""The part of an excerpt's width that lies before the match, of a long line: one of 5."""


class Found:
    """A line that matches, and its neighbors, all cut to the width."""

    def __init__(self, line: int, content: str, column: int, cut: bool, before: list[str]) -> None:
        self.line = line
        self.content = content
        self.column = column
        """Of the beginning of the match in the whole line, in characters from 1."""
        self.cut = cut
        self.before = before
        self.after: list[str] = []


class Grep:
    """A search by ``expression``, whose matches contain the bytes ``needed``."""

    def __init__(
        self, expression: re.Pattern[str], needed: bytes, context: int, width: int
    ) -> None:
        self._search = expression.search
        self._needed = needed
        self._context = context
        self._width = width

    def matches(self, path: str, after: int, buffer: bytearray) -> Iterable[Found]:
        """Yield the matching lines of a file after the line ``after``.

        Lines around them are those that weren't yielded before, as grep(1) merges them.
        """
        if b"\n" in self._needed:
            return ()
        read = all_lines if self._context or not self._needed else matching_lines
        lines = read(path, self._needed, buffer)
        if not lines:
            return ()
        if self._context:
            return self._with_context(lines, after)
        return self._without_context(lines, after)

    def _without_context(self, lines: Iterable[tuple[int, bytes]], after: int) -> Iterator[Found]:
        for number, content in lines:
            if number > after and (found := self._found(number, content, ())):
                yield found

    def _with_context(self, lines: Iterable[tuple[int, bytes]], after: int) -> Iterator[Found]:
        before: deque[bytes] = deque(maxlen=self._context)
        last: Found | None = None
        for number, content in lines:
            if number <= after:
                continue
            found = None
            if self._needed in content:
                found = self._found(number, content, before)
            if found is not None:
                if last is not None:
                    yield last
                last = found
                before.clear()
            elif last is not None and len(last.after) < self._context:
                last.after.append(self._shortened(content))
            else:
                before.append(content)
        if last is not None:
            yield last

    def _found(self, number: int, content: bytes, before: Iterable[bytes]) -> Found | None:
        text = content.decode("utf-8", "replace")
        match = self._search(text)
        if match is None:
            return None
        shown = [self._shortened(line) for line in before]
        if len(text) <= self._width:
            return Found(number, text, match.start() + 1, False, shown)
        start = 0
        if match.end() > self._width:
            # The match and a little before it, but no more than there is.
            wanted = match.start() - self._width // SHOWN_BEFORE
            start = max(0, min(wanted, len(text) - self._width))
        content_shown = text[start : start + self._width]
        return Found(number, content_shown, match.start() + 1, True, shown)

    def _shortened(self, line: bytes) -> str:
        # A character has four bytes at most.
        return line[: 4 * self._width].decode("utf-8", "replace")[: self._width]

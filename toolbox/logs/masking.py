"""The masking of secrets in the log, in errors and, if enabled, in output."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from urllib.parse import quote
from urllib.parse import quote_plus

MASK = "***"

ESCAPE = "surrogateescape"
"""The error handler with which Python decodes variables that are not UTF-8."""

SHORTEST = 6
"""Minimum characters of a masked value: shorter ones would occur in ordinary words."""


class Mask:
    """A mask for the token, the signing key and the values of chosen environment variables.

    ``variables`` are their names; their values are read each time, since ``POST /env`` changes
    them. ``secrets`` returns the other secrets. ``pattern`` matches secrets that are too many to
    list; it is applied to the log and to errors only.
    """

    def __init__(
        self,
        variables: Iterable[str],
        secrets: Callable[[], Iterable[str]],
        pattern: re.Pattern[str] | None = None,
    ) -> None:
        self._variables = tuple(variables)
        self._secrets = secrets
        self._pattern = pattern

    def __call__(self, text: str) -> str:
        """Return ``text`` with ``***`` in place of each secret, even if it is quoted or escaped."""
        for secret in self._hidden():
            if secret in text:
                text = text.replace(secret, MASK)
        return self._pattern.sub(MASK, text) if self._pattern else text

    def stream(self) -> StreamMask:
        """Return a mask of the current secrets for bytes that arrive in pieces."""
        return StreamMask(value.encode("utf-8", ESCAPE) for value in self._values())

    def _values(self) -> list[str]:
        values = [*self._secrets(), *(os.environ.get(name, "") for name in self._variables)]
        return list(filter(_is_long, values))

    def _hidden(self) -> Iterator[str]:
        # The longest first: one may be part of another.
        for value in sorted(self._values(), key=len, reverse=True):
            quoted = {json.dumps(value)[1:-1], repr(value)[1:-1]}
            quoted |= {quote(value, "", errors=ESCAPE), quote_plus(value, errors=ESCAPE)}
            yield from sorted(quoted - {value}, key=len, reverse=True)
            yield value


class StreamMask:
    """A mask for a stream. It withholds what may be the beginning of a secret until more comes."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        # Of two with the same beginning the longer one is found first.
        self._found = re.compile(b"|".join(map(re.escape, self._secrets)) or b"(?!)")
        self.held = b""
        """The bytes withheld now."""

    def feed(self, data: bytes) -> bytes:
        """Take ``data``, and return what may be shown now."""
        data, shown, offset = self.held + data, [], 0
        hold = None
        for match in self._found.finditer(data):
            if match.end() == len(data) and self._begins(match[0]):
                hold = match.start()  # It may be the beginning of a longer one.
                break
            shown += [data[offset : match.start()], MASK.encode()]
            offset = match.end()
        if hold is None:
            hold = self._beginning(data, offset)
        self.held = data[hold:]
        return b"".join([*shown, data[offset:hold]])

    def end(self) -> bytes:
        """Return what is withheld, at the end of the stream."""
        held, self.held = self.held, b""
        return self._found.sub(MASK.encode(), held)

    def _begins(self, text: bytes) -> bool:
        return any(len(secret) > len(text) and secret.startswith(text) for secret in self._secrets)

    def _beginning(self, data: bytes, offset: int) -> int:
        """Return the offset of the longest suffix of ``data[offset:]`` that begins a secret."""
        longest = len(self._secrets[0]) if self._secrets else 0
        starts = range(max(offset, len(data) - longest), len(data))
        return next((start for start in starts if self._begins(data[start:])), len(data))


def _is_long(value: str) -> bool:
    return len(value) >= SHORTEST

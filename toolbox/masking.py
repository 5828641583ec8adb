"""Secrets are not written: neither in the log nor in an error, nor, if asked for, in output."""

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
"""How Python reads variables that are not UTF-8."""

SHORTEST = 6
"""Characters of a value that is masked: what is shorter would be found in every second word."""


class Mask:
    """Hides the token, the signing key and the values of chosen environment variables.

    ``variables`` are their names; their values are looked up anew each time, as ``POST /env``
    changes them. ``secrets`` tells the others.
    """

    def __init__(self, variables: Iterable[str], secrets: Callable[[], Iterable[str]]) -> None:
        self._variables = tuple(variables)
        self._secrets = secrets

    def __call__(self, text: str) -> str:
        """``text`` with ``***`` in place of each secret, also where it is quoted."""
        for secret in self._hidden():
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def stream(self) -> StreamMask:
        """What hides them, as they are at this moment, in bytes that come in pieces."""
        return StreamMask(value.encode("utf-8", ESCAPE) for value in self._values())

    def _values(self) -> list[str]:
        values = [*self._secrets(), *(os.environ.get(name, "") for name in self._variables)]
        return list(filter(_is_long, values))

    def _hidden(self) -> Iterator[str]:
        # The longest first: one may be a part of another.
        for value in sorted(self._values(), key=len, reverse=True):
            quoted = {json.dumps(value)[1:-1], repr(value)[1:-1]}
            quoted |= {quote(value, "", errors=ESCAPE), quote_plus(value, errors=ESCAPE)}
            yield from sorted(quoted - {value}, key=len, reverse=True)
            yield value


class StreamMask:
    """Hides ``secrets`` in a stream: what may be the beginning of one is kept until more comes."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        # Of two that begin alike the longer one is found first.
        self._found = re.compile(b"|".join(map(re.escape, self._secrets)) or b"(?!)")
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be shown, now that ``data`` has come."""
        data, shown, at = self._held + data, [], 0
        hold = None
        for match in self._found.finditer(data):
            if match.end() == len(data) and self._begins(match[0]):
                hold = match.start()  # It may be the beginning of a longer one.
                break
            shown += [data[at : match.start()], MASK.encode()]
            at = match.end()
        if hold is None:
            hold = self._beginning(data, at)
        self._held = data[hold:]
        return b"".join([*shown, data[at:hold]])

    def end(self) -> bytes:
        """What was kept, as no more comes."""
        held, self._held = self._held, b""
        return self._found.sub(MASK.encode(), held)

    def _begins(self, text: bytes) -> bool:
        return any(len(each) > len(text) and each.startswith(text) for each in self._secrets)

    def _beginning(self, data: bytes, at: int) -> int:
        """Where the longest end of ``data[at:]`` that a secret begins with begins."""
        longest = len(self._secrets[0]) if self._secrets else 0
        starts = range(max(at, len(data) - longest), len(data))
        return next((start for start in starts if self._begins(data[start:])), len(data))


def _is_long(value: str) -> bool:
    return len(value) >= SHORTEST

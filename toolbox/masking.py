"""Secrets are not written: neither in the log nor in an error's message."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

MASK = "***"

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

    def _hidden(self) -> Iterator[str]:
        values = [*self._secrets(), *(os.environ.get(name, "") for name in self._variables)]
        # The longest first: one may be a part of another.
        for value in sorted(filter(_is_long, values), key=len, reverse=True):
            quoted = {json.dumps(value)[1:-1], repr(value)[1:-1]}
            yield from sorted(quoted - {value}, key=len, reverse=True)
            yield value


def _is_long(value: str) -> bool:
    return len(value) >= SHORTEST

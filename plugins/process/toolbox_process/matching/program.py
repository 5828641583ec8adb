"""The program that searches, apart from the service.

A request is a line of JSON, ``[number, pattern, text]``, the response ``[number, outcome, text]``.
The outcome is ``found`` with the first text that matches, ``missing``, ``invalid`` with the reason,
or ``slow`` if the search took too long. It ends with its input.
"""

from __future__ import annotations

import functools
import json
import re
import resource
import signal
import sys
from types import FrameType

SECONDS = 0.25
"""Processor time for one search; not that of others, which a busy machine spends meanwhile."""

HARD = 2.0
"""Processor time after which the kernel ends the program, whatever it is doing."""

MEMORY = 512 * 1024 * 1024

compiled = functools.lru_cache(maxsize=64)(re.compile)


class TooLong(Exception):
    """The search has used up its time."""


def _give_up(number: int, frame: FrameType | None) -> None:
    raise TooLong


def search(pattern: str, text: str) -> tuple[str, str]:
    """Return the outcome of a search, and its text."""
    try:
        # The matching engine looks for signals now and then, and the compiler is Python.
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        signal.setitimer(signal.ITIMER_PROF, HARD)
        try:
            found = compiled(pattern, re.MULTILINE).search(text)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
    except TooLong:
        return "slow", ""
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        return "invalid", str(error) or type(error).__name__
    return ("found", found[0]) if found else ("missing", "")


def main() -> None:
    """Respond to requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGVTALRM, _give_up)
    for line in sys.stdin.buffer:
        number, pattern, text = json.loads(line)
        print(json.dumps([number, *search(pattern, text)]), flush=True)


if __name__ == "__main__":
    main()

"""Program that searches text for regular expressions, for a service that must not wait for one.

Python holds its lock while it matches, and some patterns take hours over a line (``(a+)+$``). A
request is a line of JSON, ``[number, pattern, text]``, the response ``[number, found]``, where
``found`` is null if the search took too long. It ends with its input.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from types import FrameType

LIMIT = 0.5
"""Seconds of processor time for one search."""


class TooLong(Exception):
    """The search has used up its time."""


def _give_up(number: int, frame: FrameType | None) -> None:
    raise TooLong


def search(pattern: str, text: str) -> bool | None:
    """Report whether the pattern is found; None if that takes too long."""
    try:
        # The matching engine looks for signals now and then.
        # Time of the processor: on a busy machine others' time must not count.
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
        try:
            return re.search(pattern, text, re.MULTILINE) is not None
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except (TooLong, MemoryError, RecursionError):
        return None


def main() -> None:
    """Respond to requests until there are no more."""
    signal.signal(signal.SIGVTALRM, _give_up)
    for line in sys.stdin.buffer:
        number, pattern, text = json.loads(line)
        sys.stdout.write(f"{json.dumps([number, search(pattern, text)])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

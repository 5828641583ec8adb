"""The program that searches screens for regular expressions of clients.

Apart from the service, since some take forever: the kernel ends it when a search has used up its
time. It reads lines of JSON, ``[pattern, text]``, and writes one for each: the text that matched,
null, or an object with an ``error``.
"""

from __future__ import annotations

import functools
import json
import re
import resource
import signal
import sys

SECONDS = 0.25
"""Processor time of one search."""

MEMORY = 512 * 1024 * 1024

compiled = functools.lru_cache(maxsize=64)(re.compile)


def search(pattern: str, text: str) -> object:
    """Return the text that matches, None or an error."""
    try:
        found = compiled(pattern, re.MULTILINE).search(text)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        return {"error": str(error) or type(error).__name__}
    return found and found[0]


def main() -> None:
    """Serve until the end of input."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        # Its signal has no handler: Python would run one only after the search.
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        answer = search(*json.loads(line))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""Searching for threads that may wait."""

from __future__ import annotations

import select
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress

from toolbox.errors import BadRequest
from toolbox.processes import popen
from toolbox_process.matching import wire

PATIENCE = 20.0
"""Seconds after which a search is given up, whatever it is doing. It is ended long before, by the
processor time it takes.
"""

MAX_REFUSED = 256
"""Patterns remembered that were too much."""


class BlockingMatcher:
    """Searches texts, one at a time. *Any thread.* The helper runs while there are users."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._helper: subprocess.Popen[bytes] | None = None
        self._refused: dict[str, None] = {}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the helper for the block, once it was needed."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._end()

    def search(self, pattern: str, text: str) -> str | None:
        """Return the first text that matches, None if there is none.

        Raises BadRequest for a pattern that is none or takes too long.
        """
        if wire.is_plain(pattern):
            return pattern if pattern in text else None
        request = wire.request(0, pattern, text)
        with self._lock:
            if pattern in self._refused:
                raise _too_much(pattern)
            # Again: it may have been killed for lack of memory, which is not the pattern's fault.
            line = self._ask(request) or self._ask(request)
            found = wire.response(line) if line else None
            if found is None or found.outcome == "slow":
                self._refused = dict.fromkeys([*self._refused, pattern][-MAX_REFUSED:])
                raise _too_much(pattern)
        if found.outcome == "invalid":
            raise BadRequest(f"invalid regular expression {pattern!r}: {found.text}")
        return found.text if found.outcome == "found" else None

    # With the lock

    def _ask(self, request: bytes) -> bytes | None:
        """Return the helper's answer, None if that has not come; then the helper has ended."""
        helper = self._helper or self._start()
        assert helper.stdin and helper.stdout
        with suppress(BrokenPipeError):
            helper.stdin.write(request)
            helper.stdin.flush()
            if select.select([helper.stdout], [], [], PATIENCE)[0]:
                # The helper writes a line at once, of which the pipe may take a part at a time.
                line = helper.stdout.readline()
                if line.endswith(b"\n"):
                    return line
        self._end()
        return None

    def _start(self) -> subprocess.Popen[bytes]:
        self._helper = popen(
            wire.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self._helper

    def _end(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.kill()
            # Closes the pipes, and waits. What it hasn't read stays in the buffer.
            with suppress(BrokenPipeError), helper:
                pass


def _too_much(pattern: str) -> BadRequest:
    return BadRequest(f"the regular expression {pattern!r} takes too long")

"""Searching screens for regular expressions of clients, by a helper program.

A pattern may take forever (catastrophic backtracking) or gigabytes to compile; Python's ``re`` has
no limit for either and holds the interpreter lock.
"""

from __future__ import annotations

import re
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from signal import SIGVTALRM

import msgspec

from toolbox.errors import BadRequest
from toolbox.processes import popen
from toolbox_process.screens import matching_main

PATIENCE = 20.0
"""Seconds after which a search is given up, whatever it is doing. It is ended long before, by the
processor time it takes.
"""

MAX_REFUSED = 256
"""Patterns remembered that were too much."""

_PLAIN = re.compile(r"[^\\.^$*+?{}\[\]|()]*")


class Matcher:
    """Searches texts, one at a time. *Any thread.* The helper runs while there are users."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._helper: subprocess.Popen[bytes] | None = None
        self._status: int | None = None  # Of the last helper that has ended.
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
        if _PLAIN.fullmatch(pattern):
            return pattern if pattern in text else None
        request = msgspec.json.encode([pattern, text]) + b"\n"
        with self._lock:
            if pattern in self._refused:
                raise _too_much(pattern)
            answer = self._ask(request)
            if answer is None and self._status != -SIGVTALRM:
                # It may have been killed for lack of memory, which is not the pattern's fault.
                answer = self._ask(request)
            if answer is None:
                self._refused = dict.fromkeys([*self._refused, pattern][-MAX_REFUSED:])
                raise _too_much(pattern)
        found = msgspec.json.decode(answer, type=str | None | dict[str, str])
        if isinstance(found, dict):
            raise BadRequest(f"invalid regular expression {pattern!r}: {found['error']}")
        return found

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
        # -I, -S: no PYTHON* variables, no current directory, no site-packages (python(1)).
        program = [sys.executable, "-I", "-S", "-X", "utf8", str(Path(matching_main.__file__))]
        self._helper = popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self._helper

    def _end(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.kill()
            # Closes the pipes, and waits. What it hasn't read stays in the buffer.
            with suppress(BrokenPipeError), helper:
                pass
            self._status = helper.returncode


def _too_much(pattern: str) -> BadRequest:
    return BadRequest(f"the regular expression {pattern!r} takes too long")

"""Looking for a pattern in output, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from toolbox.processes import popen
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.stdin_writer import StdinWriter

PROGRAM = Path(__file__).with_name("matcher.py")

SPECIAL = frozenset(r"\.^$*+?{}[]|()")
"""Characters without which a pattern is only a text."""

IDLE = 5.0
"""Seconds after which a matcher that has nothing to do ends."""

WINDOW = 64 * 1024
"""Bytes of output searched at once."""

KEPT = 4096
"""Bytes of an unfinished line that are searched again with what follows."""

AGAIN = 0.5
"""Seconds until the next attempt after the matcher has failed."""

Answer = Callable[[bool | None], object]
"""Called with the result; None if the process has ended before it had one."""


class Matcher:
    """The process that searches, started when it is needed. Used on the loop."""

    def __init__(self, loop: Loop, pool: Executor) -> None:
        self._loop = loop
        self._pool = pool
        self._waiting: dict[int, tuple[Answer, bytes]] = {}
        self._number = 0
        self._starting = False
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: StdinWriter | None = None
        self._received = b""
        self._idle: Timer | None = None

    def ask(self, pattern: str, text: str, answer: Answer) -> None:
        """Search, and call ``answer`` later."""
        if not set(pattern) & SPECIAL:
            found = pattern in text
            self._loop.call_soon(lambda: answer(found))
            return
        self._number += 1
        request = json.dumps([self._number, pattern, text]).encode() + b"\n"
        self._waiting[self._number] = (answer, request)
        if self._idle is not None:
            self._idle.cancel()
        if self._writer is not None:
            self._send(request)
        elif not self._starting:
            self._starting = True
            self._pool.submit(self._start)  # Starting a process blocks.

    def close(self) -> None:
        """End the process. *Any thread.*"""
        self._loop.call_soon(self._end)

    def _start(self) -> None:
        # Isolated and without site-packages: it needs neither, and starts in a few milliseconds.
        command = [sys.executable, "-I", "-S", str(PROGRAM)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        try:
            process = popen(command, bufsize=0, cwd="/", **pipes)
        except OSError:
            self._loop.call_soon(self._fail)
        else:
            self._loop.call_soon(lambda: self._began(process))

    def _began(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._starting = False
        self._process = process
        self._received = b""
        # A copy, since the writer closes what it writes to, and Popen would do so again.
        self._writer = StdinWriter(self._loop, os.dup(process.stdin.fileno()))
        process.stdin.close()
        os.set_blocking(process.stdout.fileno(), False)
        self._loop.add(process.stdout.fileno(), IN, lambda events: self._read())
        for _, request in list(self._waiting.values()):
            self._send(request)
        self._rest()

    def _send(self, request: bytes) -> None:
        try:
            if self._writer is not None:
                self._writer.write(request)
        except (InputFull, InputClosed):
            self._end()

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        try:
            data = os.read(process.stdout.fileno(), WINDOW)
        except BlockingIOError:
            return
        if not data:
            self._end()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            number, found = json.loads(line)
            answer, _ = self._waiting.pop(number, (None, b""))
            if answer is not None:
                # What takes too long isn't found, and is not tried again.
                answer(bool(found))
        self._rest()

    def _rest(self) -> None:
        """End the process after a while without requests."""
        if self._idle is not None:
            self._idle.cancel()
        if not self._waiting:
            self._idle = self._loop.call_later(IDLE, self._end)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            self._loop.remove(process.stdout.fileno())
            process.stdout.close()
            process.kill()
            with suppress(RuntimeError):  # The service stops, and the master reaps it.
                self._pool.submit(process.wait)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()
        self._fail()

    def _fail(self) -> None:
        """Give those who wait no result: they ask again."""
        self._starting = False
        waiting, self._waiting = self._waiting, {}
        for answer, _ in waiting.values():
            answer(None)


class LogProbe:
    """Reads what a run writes, until the pattern is found in it, and calls ``passed()`` then.

    Lines are searched when they are complete, and before. Used on the loop.
    """

    def __init__(
        self,
        loop: Loop,
        matcher: Matcher,
        spool: Spool,
        offset: int,
        pattern: str,
        passed: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._matcher = matcher
        self._spool = spool
        self._pattern = pattern
        self._passed = passed
        self._offset = offset
        self._lines: dict[int, bytes] = {}
        self._text = ""
        self._asking = False
        self._closed = False

    def begin(self) -> None:
        """Search what there is already."""
        self.output()

    def output(self) -> None:
        """Search what is new."""
        if self._asking or self._closed:
            return
        chunk = self._spool.read(self._offset, WINDOW)
        self._offset = chunk.end
        if not chunk.data:
            return
        # The streams apart, or a line of one would be cut by the other.
        window = self._lines.get(chunk.stream, b"") + chunk.data
        self._lines[chunk.stream] = window[window.rfind(b"\n") + 1 :][-KEPT:]
        self._asking = True
        self._text = window.decode("utf-8", "replace")
        self._ask()

    def _ask(self) -> None:
        if not self._closed:
            self._matcher.ask(self._pattern, self._text, self._answered)

    def close(self) -> None:
        """Search no more."""
        self._closed = True

    def _answered(self, found: bool | None) -> None:
        # The text is kept: a process that was killed must not cost the line that was awaited.
        if found is None:
            self._loop.call_later(AGAIN, self._ask)
            return
        self._asking = False
        if found and not self._closed:
            self._passed()
        else:
            self.output()

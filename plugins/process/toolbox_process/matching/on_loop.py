"""Searching for whoever runs on the I/O loop, which is never blocked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress

from toolbox.processes import popen
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.matching import wire

IDLE = 5.0
"""Seconds after which a matcher that has nothing to do ends."""

READ = 64 * 1024
"""Bytes read at once."""

Answer = Callable[[wire.Result | None], object]
"""Called with the result; None if the process has ended before it had one."""


class LoopMatcher:
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
        if wire.is_plain(pattern):
            found: wire.Result = "found" if pattern in text else "missing"
            self._loop.call_soon(lambda: answer(found))
            return
        self._number += 1
        request = wire.request(self._number, pattern, text)
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
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        try:
            process = popen(wire.COMMAND, bufsize=0, cwd="/", **pipes)
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
            data = os.read(process.stdout.fileno(), READ)
        except BlockingIOError:
            return
        if not data:
            self._end()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            response = wire.response(line)
            answer, _ = self._waiting.pop(response.number, (None, b""))
            if answer is not None:
                answer(response.outcome)
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

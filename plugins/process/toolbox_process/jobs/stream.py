"""A job's three streams over one WebSocket, both ways.

Binary messages carry bytes: a channel, one byte, and then what was or is to be written. Texts are
JSON objects with a ``type``.

From the client: channel 0 is standard input; ``{"type": "eof"}``, ``{"type": "signal", "signal":
"TERM", "tree": false}`` and ``{"type": "resize", "rows": 24, "cols": 80}``.

To the client: first ``open`` with the ``job``, the ``offset`` of the output that follows, and
``stdinOffset``, the bytes of input that the job was given by whomever up to now. Then channel 1,
standard output, and 2, standard error; ``gap`` with the ``offset`` to go on from and the ``bytes``
that are no longer kept; ``error`` with a ``code`` and a ``message``, about something the client
sent. Last ``exit`` with the ``job``, after all output.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any
from typing import Literal

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import ToolboxError
from toolbox.http.decoding import decode
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import TRY_AGAIN_LATER
from toolbox.sockets.handler import Socket
from toolbox.sockets.handler import SocketClosed
from toolbox_process.engine.job import Job
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import Chunk
from toolbox_process.errors import TooManyFollowers
from toolbox_process.jobs.models import Characters
from toolbox_process.jobs.models import SignalRequest
from toolbox_process.jobs.models import StreamQuery
from toolbox_process.jobs.protocol import Jobs
from toolbox_process.jobs.responses import job_info
from toolbox_process.wire.follower import OutputFollower

STDIN, STDOUT, STDERR = b"\0", b"\1", b"\2"
"""Channels: the first byte of a binary message."""

MESSAGE = 32 * 1024 - 1
"""Bytes of output in one message."""

INPUT_HIGH = 256 * 1024
"""Bytes of input that may wait for the job before the client's socket isn't read any more."""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """A text from the client."""

    type: Literal["eof", "signal", "resize"]
    signal: str | int | None = None
    tree: bool = False
    rows: Characters | None = None
    cols: Characters | None = None


def _text(kind: str, **more: Any) -> str:
    return msgspec.json.encode({"type": kind, **more}).decode()


class JobStream(OutputFollower):
    """One client of a job. The job's input ends when a client says so, not when it leaves."""

    def __init__(self, jobs: Jobs, job: Job, query: StreamQuery) -> None:
        super().__init__(job, query.offset)
        self._jobs = jobs
        self._job = job
        self._flow = jobs.flow(job.id) if query.flow == "wait" else None
        self._messages: deque[str | bytes] = deque()
        """Messages that wait for a signal: what was received before the socket was paused."""
        self._signaling = False

    # To the client

    def opened(self, ws: Socket) -> None:
        accepted = 0 if self._job.stdin is None else self._job.stdin.accepted
        ws.send(_text("open", job=job_info(self._job), offset=self.offset, stdinOffset=accepted))
        if self._flow is None:
            super().opened(ws)
            return
        self._ws = ws
        try:
            self._job.followers.enter(self)
        except TooManyFollowers as error:
            ws.close(TRY_AGAIN_LATER, error.message)
            return
        flow = self._flow
        self._loop.call_soon(lambda: flow.add(self))

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        if self._flow is None:
            super().closed(ws, code, reason)
            return
        self._ws = None
        self._job.followers.leave(self)
        self._flow.remove(self)

    def advanced(self) -> None:
        if self._flow is not None:
            self._flow.adjust()

    def limit(self) -> int:
        return MESSAGE

    def on_gap(self, ws: Socket, chunk: Chunk) -> None:
        ws.send(_text("gap", offset=chunk.offset, bytes=chunk.offset - self.offset))

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        ws.send((STDERR if chunk.stream == ERR else STDOUT) + chunk.data)
        return chunk.end

    def caught_up(self, ws: Socket) -> None:
        if self._job.done.is_set():
            ws.send(_text("exit", job=job_info(self._job)))
            ws.close(NORMAL)

    # From the client

    def received(self, ws: Socket, message: str | bytes) -> None:
        self._messages.append(message)
        self._handle(ws)

    def _handle(self, ws: Socket) -> None:
        """Handle in their order what has come: nothing overtakes a signal that is on its way."""
        while self._messages and not self._signaling:
            try:
                self._on_message(ws, self._messages.popleft())
            except ToolboxError as error:
                self._report(ws, error)

    def _on_message(self, ws: Socket, message: str | bytes) -> None:
        if isinstance(message, str):
            self._on_control(ws, message)
        elif message[:1] == STDIN:
            self._on_input(ws, message[1:])
        else:
            ws.close(POLICY, "unknown channel: the first byte of input is 0")

    def _on_input(self, ws: Socket, data: bytes) -> None:
        self._jobs.write(self._job.id, data, False)
        if self._input_waits:
            # Back-pressure: TCP makes the client wait until the job reads.
            ws.pause()
            if self._job.stdin is not None:
                self._job.stdin.when_drained(lambda: self._resume(ws))

    @property
    def _input_waits(self) -> bool:
        stdin = self._job.stdin
        return stdin is not None and stdin.pending > INPUT_HIGH

    def _resume(self, ws: Socket) -> None:
        if not self._signaling and not self._input_waits:
            ws.resume()

    def _on_signal(self, ws: Socket, number: int, tree: bool) -> None:
        # One at a time, or a client could fill the pool that ends jobs, and they would overtake
        # each other.
        self._signaling = True
        ws.pause()

        def sent(error: ToolboxError | None) -> None:
            self._signaling = False
            if error is not None:
                self._report(ws, error)
            self._handle(ws)
            self._resume(ws)

        self._jobs.signal_soon(self._job.id, number, tree, sent)

    def _on_control(self, ws: Socket, text: str) -> None:
        try:
            control = decode(text.encode("utf-8", "surrogatepass"), Control)
        except msgspec.DecodeError as error:
            raise BadRequest(f"invalid message: {error}") from None
        if control.type == "eof":
            self._jobs.write(self._job.id, b"", True)
        elif control.type == "resize":
            if control.rows is None or control.cols is None:
                raise BadRequest("resize: rows and cols are required")
            self._jobs.resize(self._job.id, control.rows, control.cols)
        elif control.signal is None:
            raise BadRequest("signal: which one is missing")
        else:
            number = SignalRequest(signal=control.signal).number()
            self._on_signal(ws, number, control.tree)

    @staticmethod
    def _report(ws: Socket, error: ToolboxError) -> None:
        with suppress(SocketClosed):
            ws.send(_text("error", code=error.code, message=error.message))

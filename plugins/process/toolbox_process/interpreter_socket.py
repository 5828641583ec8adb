"""The WebSocket of an interpreter: one message with code in, events out."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import msgspec

from toolbox.decoding import decode
from toolbox.errors import ToolboxError
from toolbox.handler import POLICY
from toolbox.handler import PROTOCOL_ERROR
from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox.loop import Timer
from toolbox_process.backend import Interpreters
from toolbox_process.interpreter_models import TIMEOUT
from toolbox_process.interpreter_models import CodeEvent
from toolbox_process.interpreter_models import CodeRequest
from toolbox_process.interpreter_run import Run
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

FIRST_MESSAGE = 30.0
"""Seconds a client has to send its code."""

MESSAGE = 8 * 1024
"""Bytes of output in one event: under 32 KiB even if JSON needs four for each."""

BURST = 64
"""Events in a row, before other sockets have their turn."""

NAMES = {OUT: "stdout", ERR: "stderr"}


class InterpreterSocket(SocketHandler):
    """One client, which has code run once."""

    def __init__(self, interpreters: Interpreters) -> None:
        self._interpreters = interpreters
        self._ws: WebSocket | None = None
        self._run: Run | None = None
        self._timer: Timer | None = None
        self._asked = False
        self.at = 0
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: decoder("replace") for stream in NAMES}

    def opened(self, ws: WebSocket) -> None:
        self._ws = ws
        self._timer = self._interpreters.loop.call_later(
            FIRST_MESSAGE, lambda: ws.close(PROTOCOL_ERROR, "no code was sent")
        )

    def received(self, ws: WebSocket, message: str | bytes) -> None:
        if self._asked:
            return
        self._asked = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            data = message.encode() if isinstance(message, str) else message
            request = decode(data, CodeRequest)
        except msgspec.DecodeError:
            ws.close(PROTOCOL_ERROR, "the message is no request to run code")
            return
        try:
            self._submit(request)
        except ToolboxError as error:
            ws.close(POLICY, error.message)

    def _submit(self, request: CodeRequest) -> None:
        timeout = TIMEOUT if request.timeout is None else request.timeout
        self._run = self._interpreters.submit(request, timeout, self)

    def drained(self, ws: WebSocket) -> None:
        self.pump()

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self._ws = None
        if self._timer is not None:
            self._timer.cancel()
        if self._run is not None:
            self._interpreters.abandon(self._run)

    def pump(self) -> None:
        """Send what there is. On the loop."""
        ws, run = self._ws, self._run
        if ws is None or run is None or ws.closing:
            return
        try:
            for _ in range(BURST):
                if not ws.writable:
                    return
                if not self._send_output(ws, run):
                    self._send_outcome(ws, run)
                    return
        except SocketClosed:
            return
        self._interpreters.loop.call_soon(self.pump)

    def _send_output(self, ws: WebSocket, run: Run) -> bool:
        """Send a piece of the run's output; False if there is none now."""
        if run.spool is None:
            return False
        size = MESSAGE if run.end is None else min(MESSAGE, run.end - self.at)
        if size <= 0:
            return False
        chunk = run.spool.read(self.at, size)
        if chunk.offset > self.at:
            ws.close(POLICY, "slow consumer")
            return False
        if not chunk.data:
            return False
        self.at = chunk.end
        self._send_text(ws, chunk.stream, self._decoders[chunk.stream].decode(chunk.data))
        return True

    def _send_text(self, ws: WebSocket, stream: int, text: str) -> None:
        if text:
            self._send(ws, CodeEvent(type=NAMES[stream], text=text))

    def _send_outcome(self, ws: WebSocket, run: Run) -> None:
        outcome = run.outcome
        if outcome is None or ws.closing:
            return
        for stream, decoder in self._decoders.items():
            self._send_text(ws, stream, decoder.decode(b"", final=True))
        if failure := outcome.failure:
            event = CodeEvent(
                type="error",
                name=failure.name,
                value=failure.value,
                traceback=failure.traceback,
            )
            self._send(ws, event)
        if outcome.code == 1000:
            # Not otherwise: the TypeScript SDK takes it for success.
            self._send(ws, CodeEvent(type="control", text="completed"))
        ws.close(outcome.code, outcome.reason)

    @staticmethod
    def _send(ws: WebSocket, event: CodeEvent) -> None:
        ws.send(msgspec.json.encode(event).decode("utf-8"))

"""The WebSocket of an interpreter: one message with code in, events out."""

from __future__ import annotations

import codecs

import msgspec

from toolbox.errors import ToolboxError
from toolbox.http.decoding import decode
from toolbox.sockets.handler import GOING_AWAY
from toolbox.sockets.handler import INTERNAL_ERROR
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import PROTOCOL_ERROR
from toolbox.sockets.handler import TRY_AGAIN_LATER
from toolbox.sockets.handler import Socket
from toolbox.sockets.loop import Timer
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool
from toolbox_process.interpreters.models import TIMEOUT
from toolbox_process.interpreters.models import CodeEvent
from toolbox_process.interpreters.models import CodeRequest
from toolbox_process.interpreters.protocol import Interpreters
from toolbox_process.interpreters.run import Ending
from toolbox_process.interpreters.run import Run
from toolbox_process.wire.follower import OutputSocket

FIRST_MESSAGE = 30.0
"""Seconds for a client to send its code."""

MESSAGE = 8 * 1024
"""Bytes of output in one event: below 32 KiB even if JSON needs four for each."""

NAMES = {OUT: "stdout", ERR: "stderr"}


CLOSE_CODES = {
    Ending.COMPLETED: NORMAL,
    Ending.INTERPRETER_EXITED: GOING_AWAY,
    Ending.TIMED_OUT: 4008,
    Ending.NOT_STARTED: INTERNAL_ERROR,
    Ending.TOO_MANY_WAITING: TRY_AGAIN_LATER,
}
"""The close code for each ending; 4008 is defined by the Daytona Toolbox API."""


class InterpreterSocket(OutputSocket):
    """One client, which runs code once."""

    def __init__(self, interpreters: Interpreters) -> None:
        super().__init__(interpreters.loop)
        self._interpreters = interpreters
        self._run: Run | None = None
        self._timer: Timer | None = None
        self._requested = False
        # One for each stream: a character may be split between two chunks.
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: decoder("replace") for stream in NAMES}

    @property
    def spool(self) -> Spool | None:
        return None if self._run is None else self._run.spool

    def opened(self, ws: Socket) -> None:
        self._ws = ws
        self._timer = self._loop.call_later(
            FIRST_MESSAGE, lambda: ws.close(PROTOCOL_ERROR, "no code received in time")
        )

    def received(self, ws: Socket, message: str | bytes) -> None:
        # A socket is for one run; what follows the request is ignored.
        if self._requested:
            return
        self._requested = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            data = message.encode() if isinstance(message, str) else message
            request = decode(data, CodeRequest)
        except msgspec.DecodeError:
            ws.close(PROTOCOL_ERROR, "invalid request to run code")
            return
        timeout = TIMEOUT if request.timeout is None else request.timeout
        try:
            self._run = self._interpreters.submit(request, timeout, self)
        except ToolboxError as error:
            ws.close(POLICY, error.message)

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        self._ws = None
        if self._timer is not None:
            self._timer.cancel()
        if self._run is not None:
            self._interpreters.abandon(self._run)

    def limit(self) -> int:
        end = None if self._run is None else self._run.end
        return MESSAGE if end is None else min(MESSAGE, end - self.offset)

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        self._send_text(ws, chunk.stream, self._decoders[chunk.stream].decode(chunk.data))
        return chunk.end

    def advanced(self) -> None:
        if self._run is not None:
            self._run.keep_pace()

    def caught_up(self, ws: Socket) -> None:
        outcome = None if self._run is None else self._run.outcome
        if outcome is None:
            return
        for stream, decoder in self._decoders.items():
            # An incomplete character at the end of the output.
            self._send_text(ws, stream, decoder.decode(b"", final=True))
        if failure := outcome.failure:
            event = CodeEvent(
                type="error",
                name=failure.name,
                value=failure.value,
                traceback=failure.traceback,
            )
            self._send(ws, event)
        if outcome.ending is Ending.COMPLETED:
            # Only then: the TypeScript SDK takes this event for success.
            self._send(ws, CodeEvent(type="control", text="completed"))
        ws.close(CLOSE_CODES[outcome.ending], outcome.reason)

    def _send_text(self, ws: Socket, stream: int, text: str) -> None:
        if text:
            self._send(ws, CodeEvent(type=NAMES[stream], text=text))

    @staticmethod
    def _send(ws: Socket, event: CodeEvent) -> None:
        ws.send(msgspec.json.encode(event).decode("utf-8"))

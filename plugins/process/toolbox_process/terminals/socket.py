"""The WebSocket of a terminal: raw bytes both ways, and JSON control messages to the client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Any

from toolbox.errors import ToolboxError
from toolbox.sockets.handler import INTERNAL_ERROR
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import TRY_AGAIN_LATER
from toolbox.sockets.handler import Socket
from toolbox.sockets.handler import SocketHandler
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.errors import SpawnFailed
from toolbox_process.errors import TooManyFollowers
from toolbox_process.terminals.headers import subprotocol_envs
from toolbox_process.terminals.headers import wants_exit_message
from toolbox_process.terminals.models import CreateConnectQuery
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import PtyHeaders
from toolbox_process.terminals.protocol import Terminal
from toolbox_process.terminals.protocol import Terminals
from toolbox_process.wire.clients import SUBPROTOCOLS
from toolbox_process.wire.follower import OutputSocket

if TYPE_CHECKING:
    from toolbox.sockets.handler import Socket

MESSAGE = 32 * 1024
"""Maximum bytes of a message."""

INPUT_HIGH = 256 * 1024
"""Bytes of input that may wait for the program before the client's socket isn't read any more."""

_REASONS = {130: "Ctrl+C", 137: "SIGKILL", 143: "SIGTERM"}


def exit_reason(exit_code: int) -> str:
    """Return the reason for an exit code, empty for 0."""
    if exit_code == 0:
        return ""
    if exit_code in _REASONS:
        return _REASONS[exit_code]
    return f"signal {exit_code - 128}" if exit_code > 128 else "non-zero exit"


def _ending(exit_code: int) -> dict[str, Any]:
    reason = exit_reason(exit_code)
    return {"exitCode": exit_code, **({"exitReason": reason} if reason else {})}


def _control(status: str, **more: Any) -> str:
    return json.dumps({"type": "control", "status": status, **more})


class TerminalSocket(OutputSocket):
    """One of a terminal's clients.

    It reads the terminal's output from the spool at its own speed; a client that falls behind the
    output that is kept is disconnected. It begins at ``offset``.
    """

    def __init__(self, terminal: Terminal, headers: PtyHeaders, offset: int | None = None) -> None:
        super().__init__(terminal.loop, terminal.start_offset(offset))
        self._terminal = terminal
        self._wants_exit = wants_exit_message(headers)
        self._wants_offset = offset is not None

    @property
    def spool(self) -> Spool:
        return self._terminal.spool

    def opened(self, ws: Socket) -> None:
        try:
            self._terminal.attach(self)
        except TooManyFollowers as error:
            ws.send(_control("error", error=error.message))
            ws.close(TRY_AGAIN_LATER, error.message)
            return
        # Before any output, in one packet with the 101: the Python SDK gives up after 100 ms.
        ws.send(_control("connected", **({"offset": self.offset} if self._wants_offset else {})))
        self._ws = ws
        self._loop.call_soon(self.go_on)

    def received(self, ws: Socket, message: str | bytes) -> None:
        data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
        try:
            waiting = self._terminal.write(data)
        except InputFull:
            # The client has sent megabytes although its socket isn't read any more.
            ws.close(INTERNAL_ERROR, "PTY session unavailable")
        except InputClosed:
            pass  # Its shell has ended; the client is about to be sent that.
        else:
            if waiting > INPUT_HIGH:
                # Back-pressure: TCP makes the client wait until the program reads.
                ws.pause()
                self._terminal.when_written(ws.resume)

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        self._ws = None
        self._terminal.detach(self)

    def limit(self) -> int:
        return MESSAGE

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        ws.send(chunk.data)
        return chunk.end

    def advanced(self) -> None:
        self._terminal.keep_pace()

    def caught_up(self, ws: Socket) -> None:
        exit_code = self._terminal.exit_code
        if exit_code is None:
            return
        ending = _ending(exit_code)
        # Deleting is the client's own doing: it doesn't expect a message.
        if self._wants_exit and not self._terminal.deleted:
            ws.send(_control("exited", **ending))
        ws.close(NORMAL if exit_code == 0 else INTERNAL_ERROR, json.dumps(ending))


class TerminalFailure(SocketHandler):
    """Sends a client the error after the upgrade, then closes."""

    subprotocols = SUBPROTOCOLS

    def __init__(self, error: ToolboxError) -> None:
        self._message = error.message

    def opened(self, ws: Socket) -> None:
        ws.send(_control("error", error=self._message))
        ws.close(INTERNAL_ERROR, self._message)


def create_connect(
    terminals: Terminals, query: CreateConnectQuery, headers: PtyHeaders
) -> SocketHandler:
    """Create a terminal and connect to it.

    Errors in the request are raised; those of the start are sent after the upgrade, as the SDKs
    expect.
    """
    request = CreatePtyRequest(
        id=query.id,
        cwd=query.cwd,
        envs=subprotocol_envs(headers),
        cols=query.cols,
        rows=query.rows,
    )
    try:
        return TerminalSocket(terminals.create(request), headers)
    except SpawnFailed as error:
        return TerminalFailure(error)

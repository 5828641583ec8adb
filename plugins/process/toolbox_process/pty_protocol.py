"""The WebSocket of a terminal: raw bytes both ways, and a few JSON texts to the client."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING
from typing import Any

from toolbox.decoding import decode
from toolbox.errors import BadRequest
from toolbox.errors import ToolboxError
from toolbox.handler import INTERNAL_ERROR
from toolbox.handler import NORMAL
from toolbox.handler import POLICY
from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox_process.backend import Terminal
from toolbox_process.backend import Terminals
from toolbox_process.dialect import VERSION_SUBPROTOCOL
from toolbox_process.dialect import is_java
from toolbox_process.errors import TRY_AGAIN_LATER
from toolbox_process.errors import SpawnFailed
from toolbox_process.errors import TooManyFollowers
from toolbox_process.pty_models import CreateConnectQuery
from toolbox_process.pty_models import CreatePtyRequest
from toolbox_process.pty_models import PtyHeaders
from toolbox_process.writer import InputClosed
from toolbox_process.writer import InputFull

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

ENVS_SUBPROTOCOL = "X-Daytona-Pty-Envs~"
"""Variables as unpadded base64url JSON."""

EXIT_SUBPROTOCOL = "X-Daytona-Pty-Exit-Control"
"""Offered by clients that understand the ``exited`` message; older ones would print it."""

MAX_ENVS = 64 * 1024

MESSAGE = 32 * 1024
"""Bytes of one message at most."""

BURST = 32
"""Messages in a row, before other sockets have their turn."""

INPUT_HIGH = 256 * 1024
"""Bytes of input that wait for the program before the client is made to wait."""

_REASONS = {130: "Ctrl+C", 137: "SIGKILL", 143: "SIGTERM"}


def offered(headers: PtyHeaders) -> list[str]:
    """The subprotocols the client offers."""
    return [token.strip() for token in ",".join(headers.subprotocols).split(",") if token.strip()]


def is_sdk(headers: PtyHeaders) -> bool:
    """Whether an SDK asks: those show what went wrong only if it is told after the upgrade."""
    tokens = offered(headers)
    return (
        bool(headers.version or headers.source)
        or is_java(headers.agent)
        or any(
            token == EXIT_SUBPROTOCOL or token.startswith((ENVS_SUBPROTOCOL, VERSION_SUBPROTOCOL))
            for token in tokens
        )
    )


def subprotocol_envs(headers: PtyHeaders) -> dict[str, str | None]:
    """The variables that travel as a subprotocol. Raises BadRequest."""
    for token in offered(headers):
        if token.startswith(ENVS_SUBPROTOCOL):
            return _decode_envs(token.removeprefix(ENVS_SUBPROTOCOL))
    return {}


def _decode_envs(text: str) -> dict[str, str | None]:
    if len(text) > MAX_ENVS:
        raise BadRequest(f"the environment is over {MAX_ENVS} bytes")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True)
        envs: dict[str, str | None] = decode(data, dict[str, str | None])
    except (binascii.Error, ValueError):
        raise BadRequest("the environment is not base64url of a JSON object of texts") from None
    return envs


def exit_reason(exit_code: int) -> str:
    """The word for an exit code, empty for 0."""
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


class PtySocket(SocketHandler):
    """One client of a terminal, which may have several.

    It reads the terminal's output from the spool at its own speed; one that falls behind what is
    kept is cut off. ``offset`` is where it wants to go on.
    """

    def __init__(self, terminal: Terminal, headers: PtyHeaders, offset: int | None = None) -> None:
        self._terminal = terminal
        self._wants_exit = EXIT_SUBPROTOCOL in offered(headers)
        self._tells_offset = offset is not None
        self.at = terminal.attach_at(offset)
        self._ws: WebSocket | None = None

    def opened(self, ws: WebSocket) -> None:
        try:
            self._terminal.attach(self)
        except TooManyFollowers as error:
            ws.send(_control("error", error=error.message))
            ws.close(TRY_AGAIN_LATER, error.message)
            return
        # First of all and at once, in a packet with the 101: the Python SDK gives up 100 ms later.
        ws.send(_control("connected", **({"offset": self.at} if self._tells_offset else {})))
        self._ws = ws
        self._terminal.loop.call_soon(self._terminal.pump)

    def received(self, ws: WebSocket, message: str | bytes) -> None:
        data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
        try:
            waiting = self._terminal.write(data)
        except InputFull:
            ws.close(INTERNAL_ERROR, "PTY session unavailable")
        except InputClosed:
            pass  # Its end is about to be told.
        else:
            if waiting > INPUT_HIGH:
                ws.pause()
                self._terminal.when_written(ws.resume)

    def drained(self, ws: WebSocket) -> None:
        self._terminal.pump()

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self._ws = None
        self._terminal.detach(self)

    def pump(self) -> None:
        """Send what there is. On the loop."""
        ws = self._ws
        if ws is None or ws.closing:
            return
        try:
            for _ in range(BURST):
                if not ws.writable:
                    return
                chunk = self._terminal.spool.read(self.at, MESSAGE)
                if chunk.offset > self.at:
                    ws.close(POLICY, "slow consumer")
                    return
                if not chunk.data:
                    self._close_at_end(ws)
                    return
                ws.send(chunk.data)
                self.at = chunk.end
        except SocketClosed:
            return
        self._terminal.loop.call_soon(self._terminal.pump)

    def _close_at_end(self, ws: WebSocket) -> None:
        exit_code = self._terminal.exit_code
        if exit_code is None:
            return
        ending = _ending(exit_code)
        if self._wants_exit and not self._terminal.deleted:
            ws.send(_control("exited", **ending))
        ws.close(NORMAL if exit_code == 0 else INTERNAL_ERROR, json.dumps(ending))


class PtyFailure(SocketHandler):
    """Tells a client after the upgrade why it can't have a terminal."""

    def __init__(self, error: ToolboxError) -> None:
        self._message = error.message

    def opened(self, ws: WebSocket) -> None:
        ws.send(_control("error", error=self._message))
        ws.close(INTERNAL_ERROR, self._message)


def create_connect(
    terminals: Terminals, query: CreateConnectQuery, headers: PtyHeaders
) -> SocketHandler:
    """Create a terminal and connect to it.

    What is wrong with the request is raised, what is wrong with the start is told after the
    upgrade, as the SDKs expect.
    """
    request = CreatePtyRequest(
        id=query.id,
        cwd=query.cwd,
        envs=subprotocol_envs(headers),
        cols=query.cols,
        rows=query.rows,
    )
    try:
        return PtySocket(terminals.create(request), headers)
    except SpawnFailed as error:
        return PtyFailure(error)

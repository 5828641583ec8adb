"""What sends output over a WebSocket as it is written."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox_process.backend import Output
from toolbox_process.errors import TRY_AGAIN_LATER
from toolbox_process.errors import TooManyFollowers

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

BURST = 32
"""Messages in a row, before other sockets have their turn."""


class OutputFollower(SocketHandler):
    """Sends output from an offset on, and what is added. Nothing waits for a slow client: it goes
    on reading the spool where it was.
    """

    def __init__(self, output: Output, offset: int = 0) -> None:
        self._output = output
        self._at = offset
        self._ws: WebSocket | None = None

    @abstractmethod
    def send_next(self, ws: WebSocket) -> bool:
        """Send the next piece and advance; False if there is none now. Raises SocketClosed."""

    @abstractmethod
    def caught_up(self, ws: WebSocket) -> None:
        """All there is was sent. Raises SocketClosed."""

    def opened(self, ws: WebSocket) -> None:
        self._ws = ws
        try:
            self._output.follow(self._pump)
        except TooManyFollowers as error:
            ws.close(TRY_AGAIN_LATER, error.message)

    def drained(self, ws: WebSocket) -> None:
        self._pump()

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self._ws = None
        self._output.unfollow(self._pump)

    def _pump(self) -> None:
        ws = self._ws
        if ws is None or ws.closing:
            return
        try:
            for _ in range(BURST):
                if not ws.writable:
                    return
                if not self.send_next(ws):
                    self.caught_up(ws)
                    return
        except SocketClosed:
            return
        self._output.loop.call_soon(self._pump)

"""A job's output over a WebSocket, by offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from toolbox.handler import NORMAL
from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox_process.errors import TRY_AGAIN_LATER
from toolbox_process.errors import TooManyFollowers
from toolbox_process.job import Job
from toolbox_process.job_models import OutputQuery
from toolbox_process.jobs import describe
from toolbox_process.jobs import piece

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

MESSAGE = 24 * 1024
"""Bytes of output in one message: under 32 KiB as base64."""

BURST = 32
"""Messages in a row, before other sockets have their turn."""


class JobFollower(SocketHandler):
    """Sends the output from an offset on, then how it ended. A piece that begins after the end of
    the one before tells of a gap.
    """

    def __init__(self, job: Job, query: OutputQuery) -> None:
        self._job = job
        self._at = query.offset
        self._encoding = query.encoding
        self._ws: WebSocket | None = None

    def opened(self, ws: WebSocket) -> None:
        self._ws = ws
        try:
            self._job.follow(self._pump)
        except TooManyFollowers as error:
            ws.close(TRY_AGAIN_LATER, error.message)

    def drained(self, ws: WebSocket) -> None:
        self._pump()

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self._ws = None
        self._job.unfollow(self._pump)

    def _pump(self) -> None:
        ws = self._ws
        if ws is None or ws.closing:
            return
        try:
            for _ in range(BURST):
                if not ws.writable:
                    return
                chunk = self._job.spool.read(self._at, MESSAGE)
                if not chunk.data:
                    self._end(ws)
                    return
                ws.send(msgspec.json.encode(piece(chunk, self._encoding)).decode())
                self._at = chunk.end
        except SocketClosed:
            return
        self._job.loop.call_soon(self._pump)

    def _end(self, ws: WebSocket) -> None:
        if self._job.done.is_set():
            ws.send(msgspec.json.encode(describe(self._job)).decode())
            ws.close(NORMAL)

"""A job's output over a WebSocket, by offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from toolbox.handler import NORMAL
from toolbox_process.job import Job
from toolbox_process.job_models import OutputQuery
from toolbox_process.jobs import describe
from toolbox_process.jobs import piece
from toolbox_process.output_follower import OutputFollower

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

MESSAGE = 24 * 1024
"""Bytes of output in one message: under 32 KiB as base64."""


class JobFollower(OutputFollower):
    """Sends the output from an offset on, then how it ended. A piece that begins after the end of
    the one before tells of a gap.
    """

    def __init__(self, job: Job, query: OutputQuery) -> None:
        super().__init__(job, query.offset)
        self._job = job
        self._encoding = query.encoding

    def send_next(self, ws: WebSocket) -> bool:
        chunk = self._job.spool.read(self._at, MESSAGE)
        if not chunk.data:
            return False
        ws.send(msgspec.json.encode(piece(chunk, self._encoding)).decode())
        self._at = chunk.end
        return True

    def caught_up(self, ws: WebSocket) -> None:
        if self._job.done.is_set():
            ws.send(msgspec.json.encode(describe(self._job)).decode())
            ws.close(NORMAL)

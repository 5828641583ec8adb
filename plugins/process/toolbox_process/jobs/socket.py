"""A job's output over a WebSocket, by offset."""

from __future__ import annotations

import msgspec

from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import Socket
from toolbox_process.engine.job import Job
from toolbox_process.engine.spool import Chunk
from toolbox_process.jobs.models import OutputQuery
from toolbox_process.jobs.responses import job_info
from toolbox_process.wire.follower import OutputFollower
from toolbox_process.wire.pieces import output_piece

MESSAGE = 24 * 1024
"""Bytes of output in one message: under 32 KiB as base64."""


class JobFollower(OutputFollower):
    """Sends the output from an offset on, then the job as it has ended.

    A piece that begins after the end of the one before shows a gap.
    """

    def __init__(self, job: Job, query: OutputQuery) -> None:
        super().__init__(job, query.offset)
        self._job = job
        self._encoding = query.encoding

    def limit(self) -> int:
        return MESSAGE

    def on_gap(self, ws: Socket, chunk: Chunk) -> None:
        """Leave gaps to the client, which sees them by the offsets."""

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        ws.send(msgspec.json.encode(output_piece(chunk, self._encoding)).decode())
        return chunk.end

    def caught_up(self, ws: Socket) -> None:
        if self._job.done.is_set():
            # After all output: a client that sees this can stop reading.
            ws.send(msgspec.json.encode(job_info(self._job)).decode())
            ws.close(NORMAL)

"""A job's output over a WebSocket, by offset."""

from __future__ import annotations

from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import Socket
from toolbox_process.engine.job import Job
from toolbox_process.jobs.models import OutputQuery
from toolbox_process.jobs.responses import job_info
from toolbox_process.wire.piece_follower import PieceFollower
from toolbox_process.wire.piece_follower import send_json


class JobFollower(PieceFollower):
    """Sends the output from an offset on, then the job as it has ended."""

    def __init__(self, job: Job, query: OutputQuery) -> None:
        super().__init__(job, query.offset, query.encoding)
        self._job = job

    def caught_up(self, ws: Socket) -> None:
        if self._job.done.is_set():
            # After all output: a client that sees this can stop reading.
            send_json(ws, job_info(self._job))
            ws.close(NORMAL)

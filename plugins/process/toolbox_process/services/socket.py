"""A service's output and states over a WebSocket."""

from __future__ import annotations

import msgspec

from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import Socket
from toolbox_process.engine.spool import Chunk
from toolbox_process.services.models import LogQuery
from toolbox_process.services.protocol import Service
from toolbox_process.services.responses import first_offset
from toolbox_process.wire.follower import OutputFollower
from toolbox_process.wire.pieces import output_piece

MESSAGE = 24 * 1024
"""Bytes of output in one message: under 32 KiB as base64."""


class ServiceFollower(OutputFollower):
    """Sends the output from an offset on, over all runs, until the service is deleted.

    Between pieces it sends the service whenever its state has changed, and at first.
    """

    def __init__(self, service: Service, query: LogQuery) -> None:
        super().__init__(service, first_offset(service.spool, query))
        self._service = service
        self._encoding = query.encoding
        self._version = -1

    def limit(self) -> int:
        return MESSAGE

    def on_gap(self, ws: Socket, chunk: Chunk) -> None:
        """Leave gaps to the client, which sees them by the offsets."""

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        ws.send(msgspec.json.encode(output_piece(chunk, self._encoding)).decode())
        return chunk.end

    def caught_up(self, ws: Socket) -> None:
        # After the output that led to it, and before what follows.
        version = self._service.version
        if version != self._version:
            self._version = version
            ws.send(msgspec.json.encode(self._service.info()).decode())
        if self._service.done.is_set():
            ws.close(NORMAL)

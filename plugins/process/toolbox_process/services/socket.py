"""A service's output and states over a WebSocket."""

from __future__ import annotations

from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import Socket
from toolbox_process.services.models import LogQuery
from toolbox_process.services.protocol import Service
from toolbox_process.services.responses import first_offset
from toolbox_process.wire.piece_follower import PieceFollower
from toolbox_process.wire.piece_follower import send_json


class ServiceFollower(PieceFollower):
    """Sends the output from an offset on, over all runs, until the service is deleted.

    Between pieces it sends the service whenever its state has changed, and at first.
    """

    def __init__(self, service: Service, query: LogQuery) -> None:
        super().__init__(service, first_offset(service.spool, query), query.encoding)
        self._service = service
        self._version = -1

    def caught_up(self, ws: Socket) -> None:
        # After the output that led to it, and before what follows.
        version = self._service.version
        if version != self._version:
            self._version = version
            send_json(ws, self._service.info())
        if self._service.done.is_set():
            ws.close(NORMAL)

"""Output over a WebSocket as JSON texts with offsets."""

from __future__ import annotations

import msgspec

from toolbox.sockets.handler import Socket
from toolbox_process.engine.output import Output
from toolbox_process.engine.spool import Chunk
from toolbox_process.wire.follower import OutputFollower
from toolbox_process.wire.pieces import output_piece

MESSAGE = 24 * 1024
"""Bytes of output in one message: under 32 KiB as base64."""


class PieceFollower(OutputFollower):
    """Sends the output from an offset on, each message a Piece.

    A piece that begins after the end of the one before shows a gap.
    """

    def __init__(self, output: Output, offset: int, encoding: str) -> None:
        super().__init__(output, offset)
        self._encoding = encoding

    def limit(self) -> int:
        return MESSAGE

    def on_gap(self, ws: Socket, chunk: Chunk) -> None:
        """Leave gaps to the client, which sees them by the offsets."""

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        send_json(ws, output_piece(chunk, self._encoding))
        return chunk.end


def send_json(ws: Socket, message: msgspec.Struct) -> None:
    """Send a message as text. Raises SocketClosed."""
    ws.send(msgspec.json.encode(message).decode())

"""Sending output over a WebSocket as it is written."""

from __future__ import annotations

from abc import abstractmethod

from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import TRY_AGAIN_LATER
from toolbox.sockets.handler import Socket
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import Loop
from toolbox_process.engine.output import Output
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool
from toolbox_process.errors import TooManyFollowers
from toolbox_process.wire.clients import SUBPROTOCOLS

BURST = 32
"""Messages in a row, before other sockets have their turn."""

MUCH = 64 * 1024
"""Bytes from which on they are more than one message."""


class OutputSocket(SocketHandler):
    """Sends a spool's content from ``offset`` on, and what is added.

    A slow client delays nothing here: the spool keeps its output until it can be sent.
    """

    subprotocols = SUBPROTOCOLS

    def __init__(self, loop: Loop, offset: int = 0) -> None:
        self.offset = offset
        self._loop = loop
        self._ws: Socket | None = None

    @property
    @abstractmethod
    def spool(self) -> Spool | None:
        """The spool to read, None if there is none yet."""

    @abstractmethod
    def limit(self) -> int:
        """Return the maximum bytes of output in the next message; nothing is sent if it is 0 or
        less.
        """

    @abstractmethod
    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        """Send output; return the offset to go on from. Raises SocketClosed."""

    @abstractmethod
    def caught_up(self, ws: Socket) -> None:
        """Finish or wait, after all available output was sent. Raises SocketClosed."""

    def on_gap(self, ws: Socket, chunk: Chunk) -> None:
        """Handle a gap: output before ``chunk`` is no longer kept. Raises SocketClosed."""
        ws.close(POLICY, "slow consumer")

    def advanced(self) -> None:
        """Handle progress of a client that was behind."""

    def drained(self, ws: Socket) -> None:
        self.go_on()

    def go_on(self) -> None:
        """Send more to a client that was behind. On the loop."""
        self.pump()
        self.advanced()

    def pump(self) -> None:
        """Send the available output, as long as the client keeps up. On the loop."""
        ws = self._ws
        if ws is None or ws.closing:
            return
        try:
            if not ws.writable:
                return  # The socket calls ``drained`` when it is.
            spool = self.spool
            is_much = spool is not None and spool.end - self.offset > MUCH
            # Most often one message is all, as a key's echo.
            if (is_much or self._send_some(ws, 1)) and self._send_burst(ws):
                return
            if not ws.closing:
                self.caught_up(ws)
        except SocketClosed:
            return

    def _send_burst(self, ws: Socket) -> bool:
        """Send more messages; return False if those were all, and True if more will be sent."""
        # All in one call of the kernel, which wakes the client once and not for each.
        ws.gather(True)
        try:
            for _ in range(BURST):
                if not ws.writable:
                    return True
                if not self._send_some(ws, BURST):
                    return False
            if ws.writable:  # Other sockets have their turn first.
                self._loop.call_soon(self.go_on)
            return True
        finally:
            ws.gather(False)

    def _send_some(self, ws: Socket, count: int) -> bool:
        """Send one message at least, up to ``count`` by one look at the spool; return whether there
        is more.
        """
        spool, limit = self.spool, self.limit()
        if spool is None or limit <= 0:
            return False
        chunk = spool.read(self.offset, count * limit)
        if chunk.offset > self.offset:
            self.on_gap(ws, chunk)
            self.offset = chunk.offset
        # ``on_gap`` may have closed the socket.
        if ws.closing or not chunk.data:
            return False
        if len(chunk.data) <= limit:
            self.offset = self.send_chunk(ws, chunk)
        else:
            self._send_pieces(ws, chunk)
        # Without another look at the spool if that was all: after a key it always is.
        return self.offset < spool.end

    def _send_pieces(self, ws: Socket, chunk: Chunk) -> None:
        """Send ``chunk`` in messages, all of them full: the rest is read again, with what follows.

        100 MB in messages of 32 KiB take 0.26 s of the processor instead of 0.35.
        """
        while ws.writable:
            limit, done = self.limit(), self.offset - chunk.offset
            data = chunk.data[done : done + limit]
            if limit <= 0 or len(data) < limit:
                return
            self.offset = self.send_chunk(ws, Chunk(self.offset, chunk.stream, data))


class OutputFollower(OutputSocket):
    """Follows the output of a job. The job never waits for such a client."""

    def __init__(self, output: Output, offset: int = 0) -> None:
        super().__init__(output.loop, offset)
        self.output = output

    @property
    def spool(self) -> Spool:
        return self.output.spool

    def opened(self, ws: Socket) -> None:
        self._ws = ws
        try:
            # Calls ``pump`` at once for what there is already.
            self.output.follow(self.pump)
        except TooManyFollowers as error:
            ws.close(TRY_AGAIN_LATER, error.message)

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        self._ws = None
        self.output.unfollow(self.pump)

"""Following the log of a session's command over a WebSocket."""

from __future__ import annotations

from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import Socket
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.output import Output
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Chunk
from toolbox_process.sessions.dialect import Dialect
from toolbox_process.sessions.logs import MARKERS
from toolbox_process.sessions.logs import gap_note
from toolbox_process.sessions.logs import mark
from toolbox_process.sessions.logs import whole_characters
from toolbox_process.wire.follower import OutputFollower

MESSAGE = 32 * 1024
"""Maximum bytes of a WebSocket message."""


class LogFollower(OutputFollower):
    """Sends a log from its beginning, and what is added, until its command ends.

    Each message is a marker and at least one byte: SDKs up to 0.216 (TypeScript) lose output when
    a message ends with a marker.
    """

    def __init__(self, job: Output, dialect: Dialect, follow: bool) -> None:
        super().__init__(job)
        self._dialect = dialect
        self._end = None if follow else job.spool.end

    def limit(self) -> int:
        size = MESSAGE - len(MARKERS[OUT])
        return size if self._end is None else min(size, self._end - self.offset)

    def on_gap(self, ws: Socket, chunk: Chunk) -> None:
        for note in gap_note(self.offset, chunk, self._dialect):
            ws.send(note)

    def send_chunk(self, ws: Socket, chunk: Chunk) -> int:
        # A message that is full may end within a character; the next one begins with that.
        size = len(chunk.data)
        if size == self.limit() and (whole := whole_characters(chunk.data)) < size:
            chunk = chunk._replace(data=chunk.data[:whole])
        ws.send(mark(chunk, self._dialect))
        return chunk.end

    def caught_up(self, ws: Socket) -> None:
        if self._end is not None or self.output.done.is_set():
            # The reason tells a client that it has not seen everything.
            cut = self.output.reason is Reason.DAEMON_RESTART
            ws.close(NORMAL, Reason.DAEMON_RESTART.value if cut else "")

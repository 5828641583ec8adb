"""WebSockets for handlers that block: a function on a pool that receives and sends in turn."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from toolbox.sockets.handler import INTERNAL_ERROR
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler

if TYPE_CHECKING:
    from toolbox.sockets.handler import Socket

log = logging.getLogger("toolbox")


class BlockingHandler(SocketHandler):
    """Runs ``function(conversation)`` on a pool, and closes the socket when it returns.

    For handlers that wait for other things than the socket. Up to ``backlog`` messages are queued;
    then reading stops, and the client has to wait.
    """

    def __init__(
        self, function: Callable[[Conversation], object], pool: Executor, backlog: int = 64
    ) -> None:
        self._function = function
        self._pool = pool
        self._backlog = backlog
        self._messages: deque[str | bytes] = deque()
        self._arrived = threading.Condition()
        self._closed = False

    def opened(self, ws: Socket) -> None:
        self._pool.submit(self._run, Conversation(ws, self))

    def _run(self, conversation: Conversation) -> None:
        ws = conversation.ws
        try:
            self._function(conversation)
        except SocketClosed:
            pass
        except Exception:
            log.exception("a WebSocket handler failed")
            ws.close(INTERNAL_ERROR, "internal error")
        else:
            ws.close()

    def received(self, ws: Socket, message: str | bytes) -> None:
        with self._arrived:
            self._messages.append(message)
            if len(self._messages) >= self._backlog:
                ws.pause()
            self._arrived.notify()

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def take(self, ws: Socket, timeout: float | None) -> str | bytes:
        """Return the next message. Raises SocketClosed at the end, or TimeoutError."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._messages or self._closed, timeout):
                raise TimeoutError
            if not self._messages:
                raise SocketClosed
            message = self._messages.popleft()
            # At half, not at once: epoll needn't be changed for every message.
            if len(self._messages) == self._backlog // 2:
                ws.resume()
            return message


class Conversation:
    """A WebSocket as a blocking handler sees it."""

    def __init__(self, ws: Socket, handler: BlockingHandler) -> None:
        self.ws = ws
        self._handler = handler

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Wait for a message. Raises SocketClosed, or TimeoutError after ``timeout`` seconds."""
        return self._handler.take(self.ws, timeout)

    def send(self, message: str | bytes) -> None:
        """Send a message, waiting for a slow client. Raises SocketClosed."""
        self.ws.send(message)

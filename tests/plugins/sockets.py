"""WebSocket operations of every kind."""

from __future__ import annotations

import socket
import threading

import msgspec
from werkzeug.wrappers import Response

from toolbox import hookimpl
from toolbox.activity import Mark
from toolbox.errors import Conflict
from toolbox.group import Group
from toolbox.lifecycle import Context
from toolbox.plugins import BackendSpec
from toolbox.plugins import NoSettings
from toolbox.sockets.blocking import BlockingHandler
from toolbox.sockets.blocking import Conversation
from toolbox.sockets.handler import ConnectionTakeover
from toolbox.sockets.handler import OnEnd
from toolbox.sockets.handler import Socket
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler

CHUNK = 16 * 1024


class Sockets:
    """Holds what the operations share."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self.context = context
        self.sent = 0
        self.closes: list[tuple[int, str]] = []
        self.closed = threading.Condition()

    def note_close(self, code: int, reason: str) -> None:
        """Remember how a socket ended."""
        with self.closed:
            self.closes.append((code, reason))
            self.closed.notify_all()


class Figures(msgspec.Struct):
    """What happened so far."""

    sent: int
    closes: list[tuple[int, str]]
    threads: int


class Echo(SocketHandler):
    """Sends back what comes, in kind; ``close CODE REASON`` closes."""

    def __init__(self, backend: Sockets, fails: bool = False) -> None:
        self.backend = backend
        self.fails = fails

    def opened(self, ws: Socket) -> None:
        ws.send("hello")
        if self.fails:
            raise RuntimeError("a bug in a handler")

    def received(self, ws: Socket, message: str | bytes) -> None:
        if isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            ws.close(int(code), reason)
        elif message == "raise":
            raise RuntimeError("a bug in a handler")
        else:
            ws.send(message)

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        self.backend.note_close(code, reason)


class Flood(SocketHandler):
    """Sends a number of bytes from the loop, as fast as the client takes them."""

    def __init__(self, backend: Sockets, total: int) -> None:
        self.backend = backend
        self.left = total

    def opened(self, ws: Socket) -> None:
        self.backend.context.loop.call_soon(lambda: self.drained(ws))

    def drained(self, ws: Socket) -> None:
        while ws.writable and self.left:
            count = min(CHUNK, self.left)
            ws.send(bytes([count % 251]) * count)
            self.left -= count
            self.backend.sent += count
        if not self.left:
            ws.close()

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        self.backend.note_close(code, reason)


group = Group("sockets", backend=Sockets, default_backend="local")


@group.websocket("/sockets/echo")
def echo(backend: Sockets) -> SocketHandler:
    """Echo."""
    return Echo(backend)


@group.websocket("/sockets/failing")
def failing(backend: Sockets) -> SocketHandler:
    """Fail once the socket is open."""
    return Echo(backend, fails=True)


@group.get("/sockets/both")
def both_plain(backend: Sockets) -> dict[str, str]:
    """Answer plain HTTP where a WebSocket lives too."""
    return {"kind": "plain"}


@group.websocket("/sockets/both")
def both(backend: Sockets) -> SocketHandler:
    """Echo."""
    return Echo(backend)


@group.websocket("/sockets/refused", errors=(Conflict,))
def refused(backend: Sockets) -> SocketHandler:
    """Refuse before the upgrade."""
    raise Conflict("taken", {"X-Extra": "1"})


class RawEcho:
    """Sends back what comes, after an answer of its own, on a thread."""

    def __init__(self, sock: socket.socket, early: bytes, on_end: OnEnd) -> None:
        self.received_bytes = self.sent_bytes = 0
        self.last_data = Mark.now()
        self.sock = sock
        self.early = early
        self.on_end = on_end
        self.end = (1000, "")

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run).start()

    def close(self, code: int, reason: str) -> None:
        """End."""
        self.end = (code, reason)
        self.sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with self.sock:
            self.sock.sendall(b"HTTP/1.1 101 Raw\r\nUpgrade: raw\r\n\r\n" + self.early)
            while data := self.sock.recv(1024):
                self.received_bytes += len(data)
                self.last_data = Mark.now()
                self.sock.sendall(data)
        self.on_end(self, *self.end)


@group.websocket("/sockets/raw")
def raw(backend: Sockets) -> ConnectionTakeover:
    """Speak with the client without the core."""
    return ConnectionTakeover(RawEcho)


@group.websocket("/sockets/own-refusal")
def own_refusal(backend: Sockets) -> Response:
    """Refuse in words of one's own."""
    return Response("not today", 418)


@group.websocket("/sockets/flood/{total}")
def flood(backend: Sockets, total: int) -> SocketHandler:
    """Send a number of bytes."""
    return Flood(backend, total)


@group.websocket("/sockets/threads/{total}")
def threads(backend: Sockets, total: int) -> SocketHandler:
    """Send a number of bytes from each of three threads at once, each message of one letter."""

    def run(conversation: Conversation) -> None:
        def send(letter: bytes) -> None:
            try:
                for _ in range(total // CHUNK):
                    conversation.send(letter * CHUNK)
                    backend.sent += CHUNK
            except SocketClosed:
                pass

        senders = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b", b"c")]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()

    return BlockingHandler(run, backend.context.pool)


@group.websocket("/sockets/sum")
def add(backend: Sockets) -> SocketHandler:
    """Add the numbers received until ``done``; a blocking handler."""

    def run(conversation: Conversation) -> None:
        total = 0
        while (message := conversation.receive()) != "done":
            total += int(message)
        conversation.send(str(total))

    return BlockingHandler(run, backend.context.pool)


@group.get("/sockets/figures")
def figures(backend: Sockets) -> Figures:
    """Tell what happened."""
    return Figures(backend.sent, backend.closes, threading.active_count())


@group.get("/sockets/closes/{number}")
def wait_for_closes(backend: Sockets, number: int) -> Figures:
    """Tell what happened, once that many sockets have ended."""
    with backend.closed:
        assert backend.closed.wait_for(lambda: len(backend.closes) >= number, 60)
    return figures(backend)


@hookimpl
def toolbox_group() -> Group:
    """Add the group."""
    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    """Offer its backend."""
    return [BackendSpec(group="sockets", name="local", target="sockets:Sockets")]

"""An application to be proxied, with the behaviors of real ones."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import queue
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from wsproto.connection import Connection
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage
from wsproto.events import CloseConnection
from wsproto.events import Message
from wsproto.events import Ping
from wsproto.events import TextMessage

BLOCK = bytes(range(256)) * 256  # 64 KiB


class Application(http.server.ThreadingHTTPServer):
    """Threaded and observable: ``requests`` has those received, ``left`` counts disconnects,
    ``results`` has what a page reports.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.results: queue.Queue[str] = queue.Queue()
        self.left = threading.Semaphore(0)
        self.go = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def port(self) -> int:
        port: int = self.server_address[1]
        return port

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # Some tests are about clients that disconnect.

    def stop(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    server: Application

    def log_message(self, *arguments: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.dispatch
        raise AttributeError(name)

    def dispatch(self) -> None:
        # Not self.path, which BaseHTTPRequestHandler tidies up.
        self.target = self.requestline.split(" ")[1]
        path, _, query = self.target.partition("?")
        self.options = dict(urllib.parse.parse_qsl(query))
        self.server.requests.append({"target": self.target, "headers": self.headers.items()})
        name = path.strip("/").removesuffix(".js").replace("-", "_")
        getattr(self, f"on_{name}", self.on_echo)()

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def pieces(self) -> Iterator[bytes]:
        """The request body."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            data = self.rfile.read1(min(left, 1 << 20))
            if not data:
                self.server.left.release()
                raise ConnectionError
            left -= len(data)
            yield data

    def wait_for_the_end(self) -> None:
        with contextlib.suppress(OSError):
            while self.rfile.read(1):
                pass
        self.server.left.release()
        self.close_connection = True

    def on_echo(self) -> None:
        digest, size = hashlib.sha256(), 0
        for data in self.pieces():
            digest.update(data)
            size += len(data)
        told = {
            "method": self.command,
            "target": self.target,
            "headers": self.headers.items(),
            "size": size,
            "sha256": digest.hexdigest(),
        }
        self.answer(200, json.dumps(told).encode(), ("Content-Type", "application/json"))

    def on_headers(self) -> None:
        self.send_response_only(207, "Many Things")
        for name, value in (
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2"),
            ("X-Latin", "caf\xe9"),
            ("Location", "http://x/{odd}|path?a b"),
            ("Connection", "close, X-Private"),
            ("X-Private", "of this hop"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authenticate", "Basic"),
            ("Content-Length", "0"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def on_status(self) -> None:
        self.send_response(int(self.options["code"]))
        self.send_header("ETag", '"x"')
        if length := self.options.get("length"):
            self.send_header("Content-Length", length)
        self.end_headers()

    def on_big(self) -> None:
        size = int(self.options["size"])
        self.send_response(200)
        chunked = "chunked" in self.options
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "close" in self.options:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        for _ in range(size // len(BLOCK)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK)
        if chunked:
            self.wfile.write(b"0\r\nX-Trailer: yes\r\n\r\n")

    def on_cut(self) -> None:
        self.send_response(200)
        if "chunked" in self.options:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"4\r\nsome\r\n")
        else:
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"some")
        self.close_connection = True

    def on_raw(self) -> None:
        self.wfile.write(self.options["bytes"].encode("latin-1"))
        self.close_connection = True

    def on_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: one\n\n")
        self.server.go.wait(60)
        self.wfile.write(b"data: two\n\n")
        self.wait_for_the_end()

    def on_silent(self) -> None:
        self.wait_for_the_end()

    def on_refuse_upload(self) -> None:
        self.answer(413, b"too much", ("Connection", "close"))
        self.close_connection = True

    def on_duplex(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for data in self.pieces():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def on_hints(self) -> None:
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n")
        self.answer(200, b"hinted")

    def on_forbidden(self) -> None:
        self.answer(403, b"members only", ("X-Reason", "no"))

    def on_page(self) -> None:
        self.answer(200, PAGE, ("Content-Type", "text/html; charset=utf-8"))

    def on_result(self) -> None:
        self.server.results.put(b"".join(self.pieces()).decode())
        self.answer(204, b"")

    def on_module(self) -> None:
        self.answer(200, b"export const word = 'module';", ("Content-Type", "text/javascript"))

    def on_ws(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response_only(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        if chosen := self.options.get("choose"):
            self.send_header("Sec-WebSocket-Protocol", chosen)
        self.end_headers()
        self.close_connection = True
        protocol = Connection(ConnectionType.SERVER)
        self.wfile.write(protocol.send(Message(data="hello")))
        with contextlib.suppress(OSError):
            self.converse(protocol)
        self.server.left.release()

    def converse(self, protocol: Connection) -> None:
        text = ""
        while data := self.connection.recv(65536):
            protocol.receive_data(data)
            for event in protocol.events():
                if isinstance(event, Ping):
                    self.wfile.write(protocol.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.wfile.write(protocol.send(event.response()))
                    return
                elif isinstance(event, TextMessage):
                    text += event.data
                    if event.message_finished and text == "bye":
                        self.wfile.write(protocol.send(CloseConnection(4001, "as you wish")))
                    elif event.message_finished:
                        self.wfile.write(protocol.send(Message(data=text)))
                    text = "" if event.message_finished else text
                elif isinstance(event, BytesMessage):
                    echo = Message(data=bytes(event.data), message_finished=event.message_finished)
                    self.wfile.write(protocol.send(echo))


PAGE = b"""<!doctype html><title>page</title><script type=module>
import {word} from './module.js';
const base = location.href.replace(/^http/, 'ws').replace('page', 'ws');
const socket = new WebSocket(base);
const seen = [];
socket.onmessage = event => {
  seen.push(event.data);
  if (seen.length == 1) socket.send(word + ' \\u00e9\\u{1f600}');
  else socket.close(1000, 'done');
};
socket.onclose = event => {
  fetch('result', {
    method: 'POST',
    body: ['closed', event.code, event.wasClean, ...seen].join('|'),
  });
};
</script>"""


@pytest.fixture
def app() -> Iterator[Application]:
    running = Application()
    yield running
    running.go.set()
    running.stop()


@pytest.fixture
def app6() -> Iterator[Application]:
    """An application that listens on IPv6 only."""
    running = Application("::1")
    yield running
    running.stop()

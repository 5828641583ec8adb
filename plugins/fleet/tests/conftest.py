"""A control plane whose sandboxes are real services, and an application in one of them."""

from __future__ import annotations

import http.server
import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

BOX_TOKEN = "the-token-of-the-sandbox"
SINGLE = '[fleet]\nbackend = "single"\n'
LISTED = '[fleet]\nbackend = "listed"\n'


class Fleet:
    """A control plane, and ``box``, the service of its only running sandbox."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        self.directory = directory
        site = directory / "site"
        info = site / "listed-1.0.dist-info"
        info.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("listed.py"), site)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: listed\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[toolbox.plugins]\nlisted = listed\n")
        self.file = directory / "listed.json"
        self.settings = LISTED + settings
        self.env = {"PYTHONPATH": str(site), "LISTED": str(self.file)}
        signing = {"TOOLBOX_SIGNING_KEY": "key-of-the-sandbox"}
        self.box = Service(directory / "box", settings=SINGLE, env=signing, token=BOX_TOKEN)
        self.records: dict[str, dict[str, Any]] = {}
        self.add("box")
        self.plane = self.start()

    def start(self, *arguments: str) -> Service:
        directory = self.directory / "plane"
        return Service(directory, *arguments, settings=self.settings, env=self.env)

    def add(self, sandbox_id: str, **fields: Any) -> None:
        """Add or change a sandbox."""
        self.records[sandbox_id] = {"port": self.box.port, "token": BOX_TOKEN, **fields}
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.records))
        new.rename(self.file)

    def stop(self) -> None:
        try:
            self.plane.stop()
        finally:
            self.box.stop()

    def preview(self, port: int, sandbox_id: str = "box") -> dict[str, str]:
        response = self.plane.http.get(f"/api/sandbox/{sandbox_id}/ports/{port}/preview-url")
        assert response.status_code == 200, response.text
        urls: dict[str, str] = response.json()
        return urls

    def signed(self, port: int, seconds: int = 600) -> dict[str, Any]:
        path = f"/api/sandbox/box/ports/{port}/signed-preview-url"
        response = self.plane.http.get(path, params={"expiresInSeconds": seconds})
        assert response.status_code == 200, response.text
        signed: dict[str, Any] = response.json()
        return signed


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    directory = Path(tempfile.mkdtemp(prefix="toolbox-fleet-"))
    running = Fleet(directory)
    yield running
    running.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[[str], Fleet]]:
    """Start fleets with settings of ``[fleet]``."""
    made: list[Fleet] = []

    def make(settings: str = "") -> Fleet:
        made.append(Fleet(tmp_path / f"fleet-{len(made)}", settings))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


class Application(http.server.ThreadingHTTPServer):
    """An application in a sandbox, which returns what it received."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrived = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
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
    server: Application

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        target = self.requestline.split(" ")[1]
        if target == "/redirect":
            self.answer(302, b"", ("Location", "/login?next=/a"), ("Set-Cookie", "sid=1; Path=/"))
        elif target == "/silent":
            self.server.arrived.release()
            self.rfile.read(1)
            self.server.left.release()
            self.close_connection = True
        else:
            told = {"target": target, "headers": self.headers.items(), "method": self.command}
            self.answer(200, json.dumps(told).encode())

    do_POST = do_GET

    def read_body(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            # Of a body that is cut the last line is empty, which is no number: no response then.
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            while self.rfile.readline().strip():
                pass

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.read_body()
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def app() -> Iterator[Application]:
    running = Application()
    yield running
    running.stop()

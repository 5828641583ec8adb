"""Services with both backends, and a real git server behind HTTP and HTTPS."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository

from toolbox.testing import DEADLINE
from toolbox.testing import Service

USER = "ada-the-user"
PASSWORD = "s3cret/p@ss:wörd"


@pytest.fixture(autouse=True, scope="session")
def git_binary() -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed (Debian and Ubuntu: package git)")


BACKENDS = ("cli", "dulwich")


@pytest.fixture(scope="module")
def make_git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], GitClient]]:
    """Return a function that starts a service with a backend and a separate home directory."""
    started: list[Service] = []

    def make(backend: str) -> GitClient:
        directory = tmp_path_factory.mktemp("git")
        (directory / "home").mkdir()
        env = {"HOME": str(directory / "home"), "GIT_CONFIG_SYSTEM": str(directory / "system")}
        # Many may wait for the lock of one repository, and a machine that runs tests is busy.
        settings = f'[git]\nbackend = "{backend}"\nlock_timeout = {DEADLINE - 5}\n'
        started.append(Service(directory, settings=settings, env=env))
        return GitClient(started[-1])

    yield make
    for running in started:
        running.stop()


@pytest.fixture(scope="module", params=BACKENDS)
def git(request: pytest.FixtureRequest, make_git: Callable[[str], GitClient]) -> GitClient:
    """Return a service with each of the backends in turn."""
    return make_git(request.param)


@pytest.fixture(scope="module")
def gits(make_git: Callable[[str], GitClient]) -> list[GitClient]:
    """Return services with all backends."""
    return [make_git(backend) for backend in BACKENDS]


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    """Create a repository without a commit; check its integrity at the end."""
    repository = Repository(tmp_path / "repo")
    yield repository
    repository.git("fsck", "--strict")


class GitServer:
    """``git http-backend`` on loopback, for the repositories in ``root``, with basic auth.

    Git LFS has its batch API there, and ``objects`` is what it holds, by hash. ``seen`` is each
    request's path and Authorization; paths below ``/public`` need none, those below ``/forbidden``
    get 403, ``/broken`` 500, and ``/hangs`` no response at all.
    """

    def __init__(self, root: Path, certificate: Path | None = None) -> None:
        self.root = root
        self.seen: list[tuple[str, str]] = []
        self.objects: dict[str, bytes] = {}
        self.password = PASSWORD
        self.stopping = threading.Event()
        self.asked = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_POST = do_PUT = do_GET

            def log_message(self, *arguments: Any) -> None:
                pass

        class Listener(http.server.ThreadingHTTPServer):
            def handle_error(self, *arguments: Any) -> None:
                pass  # The client doesn't trust the certificate, or has disconnected.

        self._listener = Listener(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._listener.socket = context.wrap_socket(
                self._listener.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{scheme}://localhost:{self._listener.server_address[1]}"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def make(self, name: str) -> Repository:
        """Create a bare repository that accepts pushes."""
        made = Repository(self.root / name, "--bare")
        made.git("config", "http.receivepack", "true")
        return made

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        given = request.headers.get("Authorization", "")
        self.seen.append((path, given))
        self.asked.set()
        wanted = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if path.startswith("/hangs"):
            self.stopping.wait()
            request.close_connection = True
        elif path.startswith("/forbidden"):
            self._say(request, 403)
        elif path.startswith("/broken"):
            self._say(request, 500)
        elif given != f"Basic {wanted}" and not path.startswith("/public"):
            self._body(request)
            self._say(request, 401, {"WWW-Authenticate": 'Basic realm="git"'})
        elif "/info/lfs/" in path:
            self._serve_lfs(request, path)
        else:
            self._run(request, path, query)

    def _say(
        self,
        request: http.server.BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _body(self, request: http.server.BaseHTTPRequestHandler) -> bytes:
        if request.headers.get("Transfer-Encoding") != "chunked":
            return request.rfile.read(int(request.headers.get("Content-Length", 0)))
        body = b""
        while size := int(request.rfile.readline(), 16):
            body += request.rfile.read(size)
            request.rfile.readline()
        request.rfile.readline()
        return body

    def _serve_lfs(self, request: http.server.BaseHTTPRequestHandler, path: str) -> None:
        """Serve the batch API and basic transfers of Git LFS, without locks."""
        body = self._body(request)
        name = path.rpartition("/")[2]
        if path.endswith("/objects/batch"):
            answer = json.dumps(self._batch(json.loads(body), path)).encode()
            self._say(request, 200, {"Content-Type": "application/vnd.git-lfs+json"}, answer)
        elif request.command == "PUT":
            self.objects[name] = body
            self._say(request, 200)
        elif request.command == "GET" and name in self.objects:
            self._say(request, 200, body=self.objects[name])
        else:
            self._say(request, 404)

    def _batch(self, wanted: dict[str, Any], path: str) -> dict[str, Any]:
        place = f"{self.url}{path.removesuffix('/batch')}"
        objects: list[dict[str, Any]] = []
        for each in wanted["objects"]:
            known, download = each["oid"] in self.objects, wanted["operation"] == "download"
            if known == download:
                each["actions"] = {wanted["operation"]: {"href": f"{place}/{each['oid']}"}}
            elif download:
                each["error"] = {"code": 404, "message": "Object does not exist on the server"}
            objects.append(each)
        return {"transfer": "basic", "objects": objects}

    def _run(self, request: http.server.BaseHTTPRequestHandler, path: str, query: str) -> None:
        body = self._body(request)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.command,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        status = int(headers.pop("Status", "200").split()[0])
        headers.pop("Content-Length", None)
        self._say(request, status, headers, content)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """Start a git server for HTTP."""
    running = GitServer(tmp_path / "server")
    yield running
    running.close()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[GitServer]:
    """Start a git server with an untrusted certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian and Ubuntu: package openssl)")
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(certificate), "-out", str(tmp_path / "public.pem")),
        ],
        check=True,
        capture_output=True,
    )
    with certificate.open("ab") as file:
        file.write((tmp_path / "public.pem").read_bytes())
    running = GitServer(tmp_path / "server", certificate)
    yield running
    running.close()

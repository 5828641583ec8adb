"""The recipes of ``docs/deployment.rst``: proxies that speak TLS, in front of a real service."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websocket

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

RECIPES = (Path(__file__).parent.parent / "docs" / "deployment.rst").read_text()
NAME = "sandbox.example.com"
PREFIX = "/boxes/one"

NGINX = """
user root;
error_log {here}/error.log;
pid {here}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
{recipe}
}}
"""

CADDY = """
{{
    admin off
    auto_https disable_redirects
    storage file_system {here}/storage
}}
{recipe}
"""


class Front:
    """A proxy at ``port`` of loopback."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.tls = ssl.create_default_context(cafile=str(certificate))

    def connect(self) -> ssl.SSLSocket:
        """A connection, with TLS."""
        plain = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        return self.tls.wrap_socket(plain, server_hostname=NAME)

    def client(self) -> httpx.Client:
        """A client that knows the token."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Host": f"{NAME}:{self.port}"}
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers=headers,
            verify=self.tls,
            timeout=DEADLINE,
        )


def recipe(language: str, here: Path, port: int, upstream: int) -> str:
    """The recipe as it stands there, but for the places of this test."""
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", RECIPES)
    (text,) = found
    text = text.replace("/etc/toolbox/tls", str(here))
    text = text.replace("127.0.0.1:2280", f"127.0.0.1:{upstream}")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    return re.sub(rf"(?m)^   {NAME} {{", f"   {NAME}:{port} {{\n       bind 127.0.0.1", text)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("front")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"),
            *("-keyout", str(made / "key.pem"), "-out", str(made / "certificate.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return made


def commands(program: str, here: Path, service: Service, port: int) -> list[str]:
    language = "nginx" if program == "nginx" else "caddy"
    text = recipe(language, here, port, service.port)
    file = here / f"{program}.conf"
    if program == "nginx":
        file.write_text(NGINX.format(here=here, recipe=text))
        places = ("-e", f"{here}/error.log", "-p", str(here), "-c", str(file))
        return ["nginx", *places, "-g", "daemon off;"]
    file.write_text(CADDY.format(here=here, recipe=text))
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]


@pytest.fixture(scope="module", name="service")
def prefixed_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service below a path, which it doesn't insist on."""
    settings = f'[server]\npath_prefix = "{PREFIX}"\n'
    running = Service(tmp_path_factory.mktemp("service"), settings=settings)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, here: Path, service: Service) -> Iterator[Front]:
    program = request.param
    if shutil.which(program) is None or shutil.which("openssl") is None:
        pytest.skip(f"{program} or openssl is not installed (Debian packages of these names)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    log = here / f"{program}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            commands(program, here, service, port),
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(here)},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + DEADLINE
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Front(port, here / "certificate.pem")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_the_token_is_replaced_as_the_recipe_says(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    def run(line: str, **environ: str) -> None:
        command = ["bash", "-c", line.removeprefix("$ ")]
        subprocess.run(command, cwd=tmp_path, env={**os.environ, **environ}, check=True, timeout=60)

    def status(token: str) -> int:
        with service.client(token) as client:
            return client.get("/plugins").status_code

    file = tmp_path / "token"
    make, start, *replace = re.findall(r"(?m)^   (\$ .+)$", RECIPES.partition("TLS, and")[0])
    assert start == "$ toolbox serve --token-file token"
    run(make)
    assert file.stat().st_mode & 0o777 == 0o600
    old = file.read_text().strip()
    service = make_service("--token-file", str(file), token=None)
    assert status(old) == 200
    for line in replace:
        run(line, TOOLBOX_PID=str(service.process.pid))
    new = file.read_text().strip()
    service.wait_for(lambda: status(new) == 200, "the new token")
    assert status(old) == 401


def test_a_proxy_hands_on_requests_as_they_are(front: Front, service: Service) -> None:
    # F-D6
    with front.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/plugins").status_code == 200
        assert client.get("/plugins", headers={"Authorization": "Bearer x"}).status_code == 401
        (service.work_dir / "a b%2Fc").write_bytes(b"x" * 3_000_000)
        answer = client.get("/files/download", params={"path": "a b%2Fc"})
        assert answer.content == b"x" * 3_000_000
        # Longer than the proxies' own limits: the environment of a terminal.
        assert client.get("/version", headers={"X-Long": "x" * 100_000}).status_code == 200
        content = b"y" * 20_000_000
        sent = client.post("/files/upload-v2", params={"path": "large"}, content=content)
        assert sent.status_code == 200, sent.text
        assert (service.work_dir / "large").stat().st_size == len(content)


def test_a_proxy_hands_on_a_path_prefix(front: Front) -> None:
    with front.client() as client:
        assert client.get(f"{PREFIX}/plugins").status_code == 200
        assert "<title>Sandbox Toolbox" in client.get(f"{PREFIX}/").text
        redirect = client.get(f"{PREFIX}/plugins/")
        assert httpx.URL(redirect.headers["location"]).path == f"{PREFIX}/plugins"


def test_a_proxy_hands_on_upgrades(front: Front, service: Service) -> None:
    # F-D6
    with front.client() as client:
        body = {"id": f"front-{front.port}", "cols": 80, "rows": 24}
        assert client.post("/process/pty", json=body).status_code == 201
        sock = websocket.create_connection(
            f"wss://127.0.0.1:{front.port}{PREFIX}/process/pty/{body['id']}/connect",
            header=[f"Authorization: Bearer {TOKEN}"],
            host=f"{NAME}:{front.port}",
            sslopt={"context": front.tls, "server_hostname": NAME},
            timeout=DEADLINE,
        )
        try:
            sock.send_binary(b"echo thr'ough'\n")
            seen = b""
            while b"through" not in seen:
                frame = sock.recv()
                seen += frame if isinstance(frame, bytes) else b""
        finally:
            sock.close()
            sock.shutdown()
        client.delete(f"/process/pty/{body['id']}")


def test_a_proxy_gathers_neither_uploads_nor_answers(front: Front, service: Service) -> None:
    # F-D6: the service has the first bytes of an upload while the client still has the last
    upload = {"path": f"slow-{front.port}", "id": "slow"}
    with front.connect() as sock:
        head = (
            f"PATCH /x/files/upload?path={upload['path']}&id=slow HTTP/1.1\r\n"
            f"Host: {NAME}:{front.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Upload-Offset: 0\r\nUpload-Complete: ?0\r\nContent-Length: 2000000\r\n\r\n"
        )
        sock.sendall(head.encode() + b"z" * 1_000_000)
        service.wait_for(
            lambda: service.http.get("/x/files/upload", params=upload).json().get("offset"),
            "the first bytes",
        )
    with front.client() as client, client.stream("GET", "/x/ports/events") as answer:
        assert answer.status_code == 200
        assert next(answer.iter_raw())

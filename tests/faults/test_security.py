"""Nobody without the token, no name that leads elsewhere, nothing of a caller's in a header or a
log line, and no secret where others can read it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websocket

from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import Service

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PUBLIC = {"/healthz", "/readyz", "/version", "/", "/page/{name}"}
PUBLIC |= {"/agentsandbox/", "/agentsandbox/v1/health"}  # Probes.
CODES = ("UNAUTHORIZED", "unauthenticated", 401)
"""Of the envelope, of Connect and of E2B's other operations."""
ASKS_ITSELF = {"/init", "/api/socket.io/"}
"""What checks the token on its own: the first call sets it; a message of the protocol has it."""

STRANGE = ["..", "../..", "%2e%2e%2f%2e%2e%2fetc", "a%2Fb", "%00", "%0d%0aX-Evil:%201", "x" * 3000,
           "%ff", "-rf", "$(id)", "`id`", ";id", "%F0%9F%92%A3"]  # fmt: skip


def operations(service: Service) -> list[tuple[str, str, dict[str, Any]]]:
    paths = service.http.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path, operation)
        for path, item in paths.items()
        for method, operation in item.items()
    ]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer x", "Basic eDp4", "Bearer a-token-for-test",
     "Bearer a-token-for-testss", "a-token-for-tests", "Bearer a-token-for-tests\xa0"],
)  # fmt: skip
def test_nothing_answers_without_the_token(service: Service, authorization: str | None) -> None:
    # AC-92: every operation, as it is and as an upgrade
    headers: dict[str, Any] = {}
    if authorization is not None:
        headers["Authorization"] = authorization.encode("latin-1")
    with service.client(None) as client:
        for method, path, _ in operations(service):
            if path in PUBLIC | ASKS_ITSELF:
                continue
            for more in ({}, UPGRADE) if method == "GET" else ({},):
                answer = client.request(method, path, headers={**headers, **more})
                assert answer.status_code == 401, (method, path, more, answer.text)
                if method != "HEAD":
                    assert answer.json()["code"] in CODES


def test_the_token_in_another_place_counts_for_nothing(service: Service) -> None:
    with service.client(None) as client:
        for name in ("X-API-Key", "Cookie", "X-Daytona-Token", "Proxy-Authorization"):
            answer = client.get("/work-dir", headers={name: f"Bearer {service.token}"})
            assert answer.status_code == 401
        for query in ("token", "authorization", "DAYTONA_SANDBOX_AUTH_KEY", "access_token"):
            assert client.get(f"/work-dir?{query}={service.token}").status_code == 401


def test_strange_ids_lead_nowhere(confined: Service) -> None:
    """An id is looked up and nothing else: it is no path, no option and no header."""
    before = set(os.listdir(confined.directory))
    for method, path, operation in operations(confined):
        names = re.findall(r"{(\w+)}", path)
        if not names or path.startswith("/proxy/") or "101" in operation["responses"]:
            continue
        for text in STRANGE:
            url = re.sub(r"{\w+}", text, path)
            answer = confined.http.request(method, url, content=b"{}", params={"timeout": 0})
            # A backend of fleet may lack an ability.
            assert answer.status_code < 500 or answer.status_code == 501, (method, url, answer.text)
            assert "x-evil" not in answer.headers
            assert "root:" not in answer.text and "uid=" not in answer.text
    for session_id in ("../../x", "a/b", "..", "%00", "x\r\ny"):
        confined.http.post("/process/session", json={"sessionId": session_id})
        confined.http.post("/process/pty", json={"id": session_id})
    assert set(os.listdir(confined.directory)) == before


def test_what_callers_send_is_not_split_into_headers_or_log_lines(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(settings='[log]\nlevel = "debug"\naccess = true\n')
    evil = "\r\nX-Evil: 1\r\n2026-01-01 00:00:00,000 CRITICAL toolbox: forged"
    quoted = "%0d%0aX-Evil:%201%0d%0a2026-01-01 00:00:00,000 CRITICAL toolbox: forged"
    http = service.http
    for path in (f"/{quoted}", f"/files/info?path={quoted}", f"/process/session/{quoted}"):
        assert "x-evil" not in http.get(path).headers
    body = {"command": "true", "cwd": evil}
    assert "x-evil" not in http.post("/process/execute", json=body).headers
    name = f"a{evil}"
    http.post("/files/upload-v2", params={"path": name}, content=b"x").raise_for_status()
    answer = http.get("/files/download", params={"path": name})
    assert answer.content == b"x" and "x-evil" not in answer.headers
    http.post("/process/session", json={"sessionId": evil})
    http.post("/git/clone", json={"url": evil, "path": "clone"})
    with contextlib.suppress(websocket.WebSocketException):
        service.websocket("/process/pty/create-connect?id=" + quoted.replace(" ", "%20")).close()
    raw = b"GET /version HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\x0bforged\r\nX: \x00\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        sock.sendall(raw)
        assert b"forged" not in sock.recv(65536)
    service.stop()
    assert not re.search(r"^2026-01-01", service.log(), re.MULTILINE)
    assert "\x0b" not in service.log()


def test_headers_have_a_bound(service: Service) -> None:
    with service.client(service.token) as client:
        assert client.get("/version", headers={"X": "x" * 200_000}).status_code == 200
    for head in (
        b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2_000_000,
        b"GET /version HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200_000,
        b"GET /" + b"x" * 3_000_000,
        b"x" * 3_000_000,
    ):
        with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
            answer = b""
            with contextlib.suppress(OSError):
                sock.sendall(head)
                sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while more := sock.recv(65536):
                    answer += more
            assert not answer or answer.split()[1] in (b"400", b"414", b"431"), answer[:200]
    assert service.http.get("/readyz").status_code == 200


SECRETS = {
    "TOOLBOX_TOKEN": "secret-token-f8a1",
    "TOOLBOX_SIGNING_KEY": "secret-signing-key-77b2",
}
GIT_PASSWORD = "secret-password-93cc"


def test_secrets_are_nowhere_to_be_found(make_service: Callable[..., Service]) -> None:
    # AC-71, AC-92, AC-93: answers, log, the processes' arguments and environment, disk
    service = make_service(
        settings='[log]\nlevel = "debug"\naccess = true\n',
        env=SECRETS,
        token=SECRETS["TOOLBOX_TOKEN"],
    )
    http = service.http
    shown = [http.get(path).text for path in ("/plugins", "/openapi.json", "/nowhere")]
    body = {"command": "env; cat /proc/$PPID/environ /proc/$PPID/cmdline"}
    shown.append(http.post("/process/execute", json=body).text)
    code = "import os; print(os.environ, open(f'/proc/{os.getppid()}/environ').read())"
    shown.append(http.post("/process/code-run", json={"language": "python", "code": code}).text)
    http.post("/process/pty", json={"id": "p"}).raise_for_status()
    ws = service.websocket("/process/pty/p/connect")
    ws.send_binary(b"env; echo $((40 + 2))-end\r")
    seen = b""
    while b"42-end" not in seen:
        data = ws.recv()
        seen += data if isinstance(data, bytes) else data.encode()
    ws.close()
    shown.append(seen.decode())
    clone = {"url": "http://127.0.0.1:1/x.git", "path": "clone", "username": "u"}
    shown.append(http.post("/git/clone", json={**clone, "password": GIT_PASSWORD}).text)
    in_url = {"url": f"http://u:{GIT_PASSWORD}@127.0.0.1:1/x.git", "path": "clone"}
    shown.append(http.post("/git/clone", json=in_url).text)
    http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    run = {"command": "sleep 60", "runAsync": True}
    http.post("/process/session/s/exec", json=run).raise_for_status()
    pids = [service.process.pid, *descendants(service.process.pid)]
    for pid in pids:
        for file in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                shown.append(Path(f"/proc/{pid}/{file}").read_text("utf-8", "replace"))
    assert len(pids) > 3
    secrets = [*SECRETS.values(), GIT_PASSWORD]
    grep = ["grep", "-rlaF", *(f"-e{secret}" for secret in secrets), str(service.directory)]
    found = subprocess.run(grep, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (1, ""), found
    service.stop()
    shown.append(service.log())
    for text in shown:
        for secret in secrets:
            assert secret not in text

"""Requests to a sandbox's own API through the control plane."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import websocket

from toolbox.auth.signing import sign
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

GIB = 1024**3
BOX_TOKEN = "the-token-of-the-sandbox"


def stranger(fleet: Any) -> httpx.Client:
    client: httpx.Client = fleet.plane.client(None)
    return client


def peak(service: Service) -> int:
    """The bytes that the workers have had in memory at most."""
    total = 0
    for pid in service.workers():
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return total


def test_the_sandboxes_own_api_is_below_the_control_plane(fleet: Any) -> None:
    response = fleet.plane.http.get("/toolbox/box/work-dir")
    assert response.json()["dir"] == str(fleet.box.work_dir)
    body = {"command": "echo $((6 * 7))"}
    response = fleet.plane.http.post("/toolbox/box/process/execute", json=body)
    assert response.json()["result"].strip() == "42"


def test_it_may_be_at_the_root_of_the_sandboxes_service(fleet: Any) -> None:
    fleet.add("root", at_root=True)
    assert fleet.plane.http.get("/toolbox/root/work-dir").status_code == 200
    assert fleet.plane.http.get("/toolbox/root/toolbox/x/work-dir").status_code == 200


def test_redirects_keep_the_way(fleet: Any) -> None:
    response = fleet.plane.http.get("/toolbox/box/work-dir/")
    assert response.headers["Location"] == "/toolbox/box/work-dir"


def test_names_with_slashes_and_queries_arrive_as_they_are(fleet: Any) -> None:
    (fleet.box.work_dir / "a b%2F").write_text("x")
    path = quote("a b%2F")
    response = fleet.plane.http.get(f"/toolbox/box/files/download?path={path}")
    assert response.text == "x"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_a_stranger_is_refused_here(fleet: Any, headers: dict[str, str]) -> None:
    before = fleet.box.log()
    with stranger(fleet) as client:
        response = client.get("/toolbox/box/work-dir", headers=headers)
        unknown = client.get("/toolbox/nobody/work-dir", headers=headers)
    assert response.status_code == unknown.status_code == 401
    # The same words for both: strangers don't learn which sandboxes there are.
    assert response.json()["message"] == unknown.json()["message"]
    assert fleet.box.log() == before


def test_an_unknown_sandbox_is_404(fleet: Any) -> None:
    response = fleet.plane.http.get("/toolbox/nobody/work-dir")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("state", ["stopped", "paused", "error", "creating"])
def test_a_sandbox_that_is_not_started_tells_its_state(fleet: Any, state: str) -> None:
    fleet.add("other", state=state)
    response = fleet.plane.http.get("/toolbox/other/work-dir")
    assert response.status_code == 409
    assert f"not running, its state is {state}" in response.json()["message"]


def test_a_dead_service_is_a_clear_502(fleet: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        fleet.add("dead", port=taken.getsockname()[1])
        response = fleet.plane.http.get("/toolbox/dead/work-dir")
    assert response.status_code == 502
    assert "the sandbox's service can't be reached (dead)" in response.json()["message"]
    assert "refused" in response.json()["message"]


def test_the_control_planes_token_stays_here_and_the_sandboxes_stays_there(
    fleet: Any, app: Any
) -> None:
    path = f"/toolbox/box/proxy/{app.port}/x?DAYTONA_SANDBOX_AUTH_KEY={TOKEN}&a=1"
    told = fleet.plane.http.get(path).json()
    assert told["target"] == "/x?a=1"
    assert TOKEN not in json.dumps(told) and BOX_TOKEN not in json.dumps(told)
    headers = dict(told["headers"])
    assert headers["X-Forwarded-Prefix"] == f"/toolbox/box/proxy/{app.port}"
    assert headers["X-Forwarded-Host"] == f"127.0.0.1:{fleet.plane.port}"


def test_an_applications_own_authorization_arrives(fleet: Any, app: Any) -> None:
    ticket = fleet.box.http.get(f"/api/sandbox/box/ports/{app.port}/preview-url").json()["token"]
    headers = {"Authorization": "Basic YTpi", "X-Daytona-Preview-Token": ticket}
    with stranger(fleet) as client:
        told = client.get(f"/toolbox/box/proxy/{app.port}/x", headers=headers).json()
    assert ["Authorization", "Basic YTpi"] in told["headers"]
    assert ticket not in json.dumps(told)


def test_a_signed_url_is_the_sandboxes_to_judge(fleet: Any) -> None:
    (fleet.box.work_dir / "signed").write_text("content")
    path = str(fleet.box.work_dir / "signed")
    good = sign("key-of-the-sandbox", "files", "GET", path, 0)
    with stranger(fleet) as client:
        for signature, status in ((good, 200), (good[:-1] + "!", 401)):
            query = {"path": path, "expires": "0", "signature": signature}
            response = client.get("/toolbox/box/files/download", params=query)
            assert response.status_code == status, response.text


def test_a_ticket_is_the_sandboxes_to_judge(fleet: Any) -> None:
    created = fleet.box.http.post("/process/pty", json={"id": "ticket", "cols": 80, "rows": 24})
    assert created.status_code == 201
    ticket = fleet.box.http.post("/x/tickets").json()["ticket"]
    path = f"/toolbox/box/process/pty/ticket/connect?TOOLBOX_TICKET={ticket}"
    fleet.plane.websocket(path, authorized=False).close()
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        fleet.plane.websocket(path, authorized=False)
    assert refused.value.status_code == 401
    fleet.box.http.delete("/process/pty/ticket")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"?signature=v1_x&other={TOKEN}", {}),
        ("?signature=v1_x", {"X-Custom": TOKEN}),
        ("?signature=v1_x", {"X-Daytona-Preview-Token": TOKEN}),
        ("?signature=v1_x", {"Cookie": f"a={TOKEN}"}),
        (f"?signature=v1_x&other={TOKEN.replace('-', '%2D')}", {}),
    ],
)
def test_our_key_does_not_go_on_with_a_request_that_the_sandbox_judges(
    fleet: Any, query: str, headers: dict[str, str]
) -> None:
    with stranger(fleet) as client, socket.create_server(("127.0.0.1", 0)) as spy:
        fleet.add("spy", port=spy.getsockname()[1])
        response = client.get(f"/toolbox/spy/files/download{query}", headers=headers)
        assert response.status_code == 401
        spy.setblocking(False)
        with pytest.raises(BlockingIOError):
            spy.accept()


def test_a_key_in_the_url_is_taken_out_where_the_sandbox_judges(fleet: Any, app: Any) -> None:
    fleet.add("echo", port=app.port)
    query = "?signature=v1_x&DAYTONA_SANDBOX_AUTH_KEY=of-another-service&path=a"
    with stranger(fleet) as client:
        told = client.get(f"/toolbox/echo/files/download{query}").json()
    assert told["target"].endswith("/files/download?signature=v1_x&path=a")
    assert "of-another-service" not in str(told["headers"])


def test_a_websocket_goes_both_ways(fleet: Any) -> None:
    fleet.plane.http.post("/toolbox/box/process/pty", json={"id": "both", "cols": 80, "rows": 24})
    terminal = fleet.plane.websocket("/toolbox/box/process/pty/both/connect")
    terminal.send_binary(b"echo $((6*7))x\r")
    seen = b""
    while b"42x" not in seen:
        data = terminal.recv()
        seen += data if isinstance(data, bytes) else data.encode()
    terminal.close()
    fleet.plane.http.delete("/toolbox/box/process/pty/both")


def test_a_refused_handshake_is_the_sandboxes_response(fleet: Any) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        fleet.plane.websocket("/toolbox/box/process/pty/nobody/connect")
    assert refused.value.status_code == 404


def test_a_gib_is_streamed_both_ways_in_bounded_memory(fleet: Any, tmp_path: Path) -> None:
    sparse = fleet.box.work_dir / "sparse"
    sparse.touch()
    os.truncate(sparse, GIB)
    before = peak(fleet.plane)
    count = 0
    with fleet.plane.http.stream("GET", "/toolbox/box/files/download?path=sparse") as response:
        for data in response.iter_raw(1 << 20):
            count += len(data)
    assert count == GIB
    with sparse.open("rb") as file:
        response = fleet.plane.http.post(
            "/toolbox/box/files/upload?path=copy", files={"file": ("f", file)}
        )
    assert response.status_code == 200, response.text
    assert (fleet.box.work_dir / "copy").stat().st_size == GIB
    assert peak(fleet.plane) - before < 64 * 1024 * 1024
    sparse.unlink()
    (fleet.box.work_dir / "copy").unlink()


def test_ranges_and_head_pass(fleet: Any) -> None:
    (fleet.box.work_dir / "digits").write_text("0123456789")
    path = "/toolbox/box/files/download?path=digits"
    response = fleet.plane.http.get(path, headers={"Range": "bytes=2-4"})
    assert (response.status_code, response.text) == (206, "234")
    response = fleet.plane.http.head(path)
    assert (response.headers["Content-Length"], response.text) == ("10", "")


def test_the_body_is_asked_for_only_if_the_client_is_let_in(fleet: Any) -> None:
    for token, expected in ((TOKEN, b"HTTP/1.1 100"), ("wrong", b"HTTP/1.1 401")):
        with socket.create_connection(("127.0.0.1", fleet.plane.port), DEADLINE) as sock:
            sock.sendall(
                b"POST /toolbox/box/process/execute HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Content-Type: application/json\r\nContent-Length: 21\r\n"
                b"Authorization: Bearer %b\r\n\r\n" % token.encode()
            )
            assert sock.recv(12) == expected


def test_a_client_that_disconnects_ends_the_request_in_the_sandbox(fleet: Any, app: Any) -> None:
    line = f"GET /toolbox/box/proxy/{app.port}/silent HTTP/1.1"
    with socket.create_connection(("127.0.0.1", fleet.plane.port), DEADLINE) as sock:
        sock.sendall(f"{line}\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        assert app.arrived.acquire(timeout=DEADLINE)
    assert app.left.acquire(timeout=DEADLINE)


def test_a_frozen_sandbox_holds_up_no_other(fleet: Any) -> None:
    directory = fleet.directory / "frozen"
    frozen = Service(directory, settings='[fleet]\nbackend = "single"\n', token=BOX_TOKEN)
    waiting = []
    try:
        fleet.add("frozen", port=frozen.port)
        assert fleet.plane.http.get("/toolbox/frozen/work-dir").status_code == 200
        for pid in (frozen.process.pid, *frozen.workers()):
            os.kill(pid, signal.SIGSTOP)
        request = (
            f"GET /toolbox/frozen/work-dir HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}"
        )
        for _ in range(200):
            sock = socket.create_connection(("127.0.0.1", fleet.plane.port), DEADLINE)
            sock.sendall(f"{request}\r\n\r\n".encode())
            sock.setblocking(False)
            waiting.append(sock)
        # More than may wait for one are refused; another is served all the same.
        fleet.plane.wait_for(lambda: _responses(waiting) >= 200 - 128, "the refusals")
        assert fleet.plane.http.get("/toolbox/box/work-dir").status_code == 200
    finally:
        for sock in waiting:
            sock.close()
        for pid in (frozen.process.pid, *frozen.workers()):
            os.kill(pid, signal.SIGCONT)
        frozen.stop()


def _responses(sockets: list[socket.socket]) -> int:
    count = 0
    for sock in sockets:
        try:
            count += sock.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503"
        except BlockingIOError:
            continue
    return count


@pytest.mark.parametrize(
    ("headers", "direct"),
    [
        ({}, True),
        ({"Host": "localhost:1"}, True),
        ({"Host": "box.example"}, False),
        ({"X-Forwarded-For": "10.0.0.1"}, False),
        ({"Forwarded": "for=10.0.0.1"}, False),
        ({"X-Real-IP": "10.0.0.1"}, False),
        ({"X-Forwarded-Proto": "https"}, False),
    ],
)
def test_a_caller_on_this_machine_is_sent_straight_there(
    fleet: Any, headers: dict[str, str], direct: bool
) -> None:
    fleet.add("direct", accepts_callers=True)
    url = fleet.plane.http.get("/api/sandbox/direct", headers=headers).json()["toolboxProxyUrl"]
    assert (url == f"http://127.0.0.1:{fleet.box.port}/toolbox") is direct
    assert url.endswith("/toolbox")
    # One that doesn't take the caller's token is reached through us.
    url = fleet.plane.http.get("/api/sandbox/box", headers=headers).json()["toolboxProxyUrl"]
    assert str(fleet.box.port) not in url


def test_a_sandbox_that_pauses_by_itself_is_reached_through_us(fleet: Any) -> None:
    """Its own port would accept a request while it is paused, and never respond."""
    for minutes, direct in ((0, True), (60, False)):
        fleet.add("naps", accepts_callers=True, auto_pause_interval=minutes)
        url = fleet.plane.http.get("/api/sandbox/naps").json()["toolboxProxyUrl"]
        assert (str(fleet.box.port) in url) is direct


def test_a_proxy_that_tells_nothing_speaks_an_old_http(fleet: Any) -> None:
    fleet.add("direct", accepts_callers=True)
    with socket.create_connection(("127.0.0.1", fleet.plane.port), DEADLINE) as sock:
        sock.sendall(
            f"GET /api/sandbox/direct HTTP/1.0\r\nHost: 127.0.0.1:{fleet.plane.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        with sock.makefile("rb") as file:
            text = file.read().decode()
    assert f'"http://127.0.0.1:{fleet.plane.port}/toolbox"' in text

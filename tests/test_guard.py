"""F-B6: without a token, requests of foreign web pages are refused."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator

import pytest
import websocket

from toolbox.auth.factory import make_auth
from toolbox.auth.guard import Guard
from toolbox.errors import Forbidden
from toolbox.settings import AuthSettings
from toolbox.testing import TOKEN
from toolbox.testing import Service

OPEN = make_auth(AuthSettings(mode="none"), "localhost", {})
COMMAND = b'{"command": "echo hi"}'
SETTINGS = """
[auth]
mode = "none"
allowed_hosts = ["box.example", "*.preview.example", "Port.Example:8080", "*.ports.example:80"]
allowed_origins = ["https://app.example"]
"""


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("open"), settings=SETTINGS, token=None)
    yield service
    service.stop()


def execute(service: Service, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.http.post("/process/execute", content=COMMAND, headers=named).status_code


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:1234",
        "localhost.",
        "3000-box.localhost:2280",
        "127.0.0.1",
        "192.0.2.7:2280",
        "[::1]:2280",
        "box.example",
        "Box.Example:8080",
        "a.preview.example",
        "a.b.preview.example",
        "port.example:8080",
        "port.example",
        "a.ports.example:2280",
    ],
)
def test_known_hosts_are_served(open_service: Service, host: str) -> None:
    assert execute(open_service, Host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evilbox.example",
        "preview.example",
        "evil.example:2280",
        "localhost@evil.example",
        "localhost, evil.example",
        "[::1].evil.example",
        "0x7f000001",
        "evil\\.localhost/",
    ],
)
def test_other_hosts_are_not(open_service: Service, host: str) -> None:
    answer = open_service.http.get("/plugins", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert "allowed_hosts" in answer.json()["message"]
    assert execute(open_service, Host=host) == 403


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:2280", "localhost:2280", 200),
        ("https://localhost", "localhost:443", 200),
        ("https://box.example", "box.example", 200),
        ("https://app.example", "localhost:2280", 200),
        ("HTTPS://App.Example", "localhost:2280", 200),
        ("http://app.example", "localhost:2280", 403),
        ("http://localhost:3000", "localhost:2280", 403),
        ("http://127.0.0.1:2280", "localhost:2280", 403),
        ("http://evil.example", "localhost:2280", 403),
        ("http://box.example", "localhost:2280", 403),
        ("null", "localhost:2280", 403),
        ("", "localhost:2280", 403),
        ("file://", "localhost:2280", 403),
        ("chrome-extension://abc", "localhost:2280", 403),
    ],
)
def test_pages_of_other_origins_change_nothing(
    open_service: Service, origin: str, host: str, status: int
) -> None:
    assert execute(open_service, Origin=origin, Host=host) == status
    # A request that changes nothing is served: no other origin may read the response.
    answer = open_service.http.get("/plugins", headers={"Origin": origin, "Host": host})
    assert answer.status_code == 200
    assert not any(name.startswith("access-control") for name in answer.headers)
    for method, path in (("DELETE", "/files?path=/no"), ("PUT", "/nowhere"), ("POST", "/env")):
        headers = {"Origin": origin, "Host": host}
        refused = open_service.http.request(method, path, headers=headers).status_code == 403
        assert refused == (status == 403)


def test_pages_of_other_origins_open_no_websocket(open_service: Service) -> None:
    path = "/process/pty/create-connect?id="
    for origin in ("http://evil.example", "null", f"http://localhost:{open_service.port}"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            open_service.websocket(f"{path}no", origin=origin)
    for number, origin in enumerate((open_service.url, "https://app.example", None)):
        options = {"origin": origin} if origin else {"suppress_origin": True}
        ws = open_service.websocket(f"{path}{number}", **options)
        assert "connected" in str(ws.recv())
        ws.close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        open_service.websocket(f"{path}no", suppress_origin=True, host="evil.example")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        ({"Content-Type": "application/merge-patch+json"}, 200),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 200),  # curl -d
        ({"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "none"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded", "Referer": "http://x/"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "TEXT/plain; charset=utf-8"}, 415),
        ({"Content-Type": "text/plain; application/json"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "nonsense"}, 415),
    ],
)
def test_json_is_taken_as_json(open_service: Service, headers: dict[str, str], status: int) -> None:
    assert execute(open_service, **headers) == status


def test_before_the_first_token_no_page_sets_it(make_service: Callable[..., Service]) -> None:
    service = make_service(settings='[auth]\nmode = "init"', token=None)

    def init(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = f'{{"token": "{TOKEN}"}}'.encode()
        return service.http.post("/init", content=body, headers=named).status_code

    assert init(Origin="http://evil.example") == 403
    assert init(Host="evil.example") == 403
    assert init(Content_Type="text/plain") == 415
    assert init(Content_Type="application/json") == 200
    # Now the token protects: a page doesn't know it, so it can't send it.
    with service.client(TOKEN) as client:
        headers = {"Origin": "http://x", "Host": "box.example", "Content-Type": "text/plain"}
        answer = client.post("/process/execute", content=COMMAND, headers=headers)
        assert answer.status_code == 200


def test_names_of_this_machine_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Box-7")
    guard = Guard(OPEN, AuthSettings(), "inner.example")
    for host in ("box-7:2280", "inner.example", ""):
        guard.check({"HTTP_HOST": host, "REQUEST_METHOD": "POST"})
    with pytest.raises(Forbidden):
        guard.check({"HTTP_HOST": "box-8", "REQUEST_METHOD": "POST"})
    anything = AuthSettings(allowed_hosts=["*"], allowed_origins=["*"])
    environ = {"HTTP_HOST": "evil.example", "HTTP_ORIGIN": "null", "REQUEST_METHOD": "POST"}
    Guard(OPEN, anything, "localhost").check(environ)


def test_what_must_be_there_once_is(service: Service) -> None:
    # F-B8
    import socket

    bearer = f"Authorization: Bearer {TOKEN}"
    body = '{"command":"true"}'
    length = f"Content-Length: {len(body)}"
    for lines, status in (
        (("Host: a", bearer, length), 200),
        (("Host: a", bearer, bearer, length), 401),
        (("Host: a", bearer, "Authorization: Bearer x", length), 401),
        (("Host: a", "Host: b", bearer, length), 400),
        (("Host: a", bearer, length, "Content-Length: 0"), 400),
        (("Host: a", bearer, length, "Transfer-Encoding: chunked"), 400),
    ):
        with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
            head = ["POST /process/execute HTTP/1.1", *lines, "Connection: close", "", body]
            sock.sendall("\r\n".join(head).encode())
            with sock.makefile("rb") as file:
                assert int(file.readline().split()[1]) == status

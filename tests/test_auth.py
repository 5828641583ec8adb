from __future__ import annotations

import hmac
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import websocket

from toolbox.auth import tickets as issued
from toolbox.auth import tokens
from toolbox.auth.access import Auth
from toolbox.auth.anyone import AnyoneAuthenticator
from toolbox.auth.factory import is_loopback
from toolbox.auth.factory import make_auth
from toolbox.auth.secret_store import SecretStore
from toolbox.auth.tickets import LIFETIME
from toolbox.auth.tickets import OUTSTANDING
from toolbox.auth.tokens import TokenAuthenticator
from toolbox.errors import BadRequest
from toolbox.errors import Unauthorized
from toolbox.linux.clock import awake
from toolbox.settings import AuthSettings
from toolbox.settings import SettingsError
from toolbox.testing import TOKEN
from toolbox.testing import Service

ToyService = Callable[..., Service]


def token_auth(token: str = "") -> Auth:
    store = SecretStore(token)
    return Auth(TokenAuthenticator(store), store)


def bearer(token: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        "Bearer é",
    ],
)
def test_without_the_right_token_everything_is_401(toys: Service, header: str | None) -> None:
    headers: dict[bytes, bytes] = {}
    if header is not None:
        headers[b"Authorization"] = header.encode("latin-1")
    with toys.client(None) as client:
        for path in ("/greet/x", "/plugins", "/openapi.json", "/nowhere", "/sockets/echo"):
            response = client.get(path, headers=headers)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["code"] == "UNAUTHORIZED"
            assert response.json()["source"] == "DAYTONA_DAEMON"


def test_with_the_right_token_it_is_served_whatever_the_case_of_the_scheme(toys: Service) -> None:
    with toys.client(None) as client:
        for scheme in ("Bearer", "bearer", "BEARER"):
            response = client.get("/greet/x", headers={"Authorization": f"{scheme} {TOKEN}"})
            assert response.status_code == 200


def test_health_needs_no_token(toys: Service) -> None:
    with toys.client(None) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}


def test_every_operation_but_the_public_ones_needs_the_token(toys: Service) -> None:
    paths = toys.http.get("/openapi.json").json()["paths"]
    public = set()
    with toys.client(None) as client:
        for path, item in paths.items():
            for method, operation in item.items():
                status = client.request(method, path).status_code
                assert (status != 401) == (operation.get("security") == []), path
                if status != 401:
                    public.add(path)
    known = {"/healthz", "/readyz", "/version", "/", "/page/{name}"}
    # Probes, for clients that send no token to them.
    known |= {"/agentsandbox/", "/agentsandbox/v1/health"}
    # It checks the token itself.
    known |= {"/api/socket.io/"}
    assert {"/healthz", "/readyz"} <= public <= known


def test_a_websocket_takes_the_token_by_header_subprotocol_or_query(toys: Service) -> None:
    path = "/sockets/echo"
    offer = ["toolbox", f"X-Toolbox-Token~{TOKEN}"]
    by_subprotocol = toys.websocket(path, authorized=False, subprotocols=offer)
    assert by_subprotocol.getsubprotocol() == "toolbox"
    by_subprotocol.close()
    by_query = toys.websocket(f"{path}?DAYTONA_SANDBOX_AUTH_KEY={TOKEN}", authorized=False)
    assert by_query.recv() == "hello"
    by_query.close()
    toys.websocket(path).close()


@pytest.mark.parametrize(
    ("offered", "echoed"),
    [
        ([f"X-Toolbox-Token~{TOKEN}", "mine"], "mine"),
        ([f"X-Toolbox-Token~{TOKEN}"], None),  # F-E18
        ([f"x-toolbox-token~{TOKEN}"], None),
        ([f"X-Toolbox-Token~{TOKEN}", "X-Daytona-Pty-Envs~e30"], "X-Daytona-Pty-Envs~e30"),
    ],
)
def test_a_subprotocol_with_the_token_is_never_echoed(
    toys: Service, offered: list[str], echoed: str | None
) -> None:
    header = [f"Sec-WebSocket-Protocol: {', '.join(offered)}"]
    ws = toys.websocket("/sockets/echo", header=header)
    assert ws.headers is not None and TOKEN not in str(ws.headers)
    assert ws.headers.get("sec-websocket-protocol") == echoed
    ws.close()


def test_a_ticket_opens_one_websocket(toys: Service) -> None:
    # AC-92
    issued = toys.http.post("/x/tickets")
    assert issued.status_code == 201
    left = datetime.fromisoformat(issued.json()["expiresAt"]) - datetime.now(UTC)
    assert timedelta() < left <= timedelta(seconds=LIFETIME)
    path = f"/sockets/echo?TOOLBOX_TICKET={issued.json()['ticket']}"
    with toys.client(None) as client:  # A request is not a WebSocket and uses no ticket up.
        assert client.get(path).status_code == 401
    ws = toys.websocket(path, authorized=False)
    assert ws.recv() == "hello"
    ws.close()
    for again in (path, "/sockets/echo?TOOLBOX_TICKET=made-up", "/sockets/echo?TOOLBOX_TICKET="):
        with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
            toys.websocket(again, authorized=False)


def test_a_ticket_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # AC-92
    auth = token_auth(TOKEN)
    now = awake()

    def accepted(ticket: str) -> bool:
        query = {"HTTP_UPGRADE": "websocket", "QUERY_STRING": f"TOOLBOX_TICKET={ticket}"}
        try:
            return auth.authenticate(query).method == "ticket"
        except Unauthorized:
            return False

    old, tickets = auth.issue_ticket(), [auth.issue_ticket() for _ in range(OUTSTANDING)]
    assert not accepted(old)
    assert accepted(tickets[0])
    assert not accepted(tickets[0])
    monkeypatch.setattr(issued, "awake", lambda: now + LIFETIME + 60)
    assert not accepted(tickets[1])
    fresh, of_the_old_token = auth.issue_ticket(), auth.issue_ticket()
    assert accepted(fresh)
    auth.authenticator.initialize(f"Bearer {TOKEN}", "another")
    assert not accepted(of_the_old_token)


def test_a_plain_request_does_not_take_the_token_from_its_url(toys: Service) -> None:
    with toys.client(None) as client:
        response = client.get("/greet/x", params={"DAYTONA_SANDBOX_AUTH_KEY": TOKEN})
    assert response.status_code == 401


def test_a_token_with_characters_that_subprotocols_lack_is_escaped(
    toy_service: ToyService,
) -> None:
    # AC-92
    token = 'a/b=c(d)%41",e'
    service = toy_service("sockets", token=token)
    offer = ["toolbox", f"X-Toolbox-Token~{quote(token, safe='')}"]
    service.websocket("/sockets/echo", authorized=False, subprotocols=offer).close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        offer[1] = f"X-Toolbox-Token~{quote('a/b=c(d)A', safe='')}"
        service.websocket("/sockets/echo", authorized=False, subprotocols=offer)


@pytest.mark.parametrize("where", ["subprotocol", "query", "none"])
def test_a_websocket_with_a_wrong_token_is_401_before_the_upgrade(
    toys: Service, where: str
) -> None:
    path = "/sockets/echo"
    options = {}
    if where == "subprotocol":
        options = {"subprotocols": ["X-Toolbox-Token~wrong"]}
    elif where == "query":
        path += "?DAYTONA_SANDBOX_AUTH_KEY=wrong"
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        toys.websocket(path, authorized=False, **options)
    assert caught.value.status_code == 401
    assert b"UNAUTHORIZED" in caught.value.resp_body


def test_mode_none_asks_for_nothing(toy_service: ToyService) -> None:
    open_service = toy_service("greeter", settings='[auth]\nmode = "none"\n', token=None)
    assert open_service.http.get("/greet/x").status_code == 200


def test_a_token_is_made_up_and_printed_if_none_is_configured(toy_service: ToyService) -> None:
    generated = toy_service("greeter", token=None)
    line = generated.log().splitlines()[0]
    token = line.rpartition(" ")[2]
    assert len(token) >= 32
    assert generated.http.get("/greet/x").status_code == 401
    with generated.client(token) as client:
        assert client.get("/greet/x").status_code == 200


def test_the_token_file_is_used_and_the_environment_wins(
    toy_service: ToyService, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("from-the-file\nsecond line\n")
    by_file = toy_service("greeter", arguments=("--token-file", str(file)), token=None)
    with by_file.client("from-the-file") as client:
        assert client.get("/greet/x").status_code == 200
    auth = make_auth(
        AuthSettings(token_file=str(file)), "127.0.0.1", {"TOOLBOX_TOKEN": "from-the-environment"}
    )
    assert not auth.store.generated
    assert auth.authenticate(bearer("from-the-environment")).method == "token"


def test_the_token_is_nowhere_to_be_seen(toy_service: ToyService) -> None:
    service = toy_service("greeter", "faulty", settings='[log]\nlevel="debug"\naccess=true\n')
    shown = [
        service.http.get(path).text
        for path in ("/plugins", "/openapi.json", "/faulty/bug", "/nowhere", f"/greet/x?t={TOKEN}")
    ]
    with pytest.raises(websocket.WebSocketBadStatusException):
        service.websocket(f"/nowhere?DAYTONA_SANDBOX_AUTH_KEY={TOKEN}", authorized=False)
    for pid in (service.process.pid, *service.workers()):
        for file in ("cmdline", "environ"):
            shown.append(Path(f"/proc/{pid}/{file}").read_text())
            assert shown[-1].replace("\0", "")
    command = [sys.executable, "-m", "toolbox", "config"]
    environ = {**os.environ, "TOOLBOX_TOKEN": TOKEN}
    shown.append(subprocess.run(command, env=environ, capture_output=True, text=True).stdout)
    service.stop()
    shown.append(service.log())
    assert "/faulty/bug" in service.log()
    for text in shown:
        assert TOKEN not in text


def test_the_token_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"TOOLBOX_TOKEN": "x"}
    make_auth(AuthSettings(), "127.0.0.1", environ)
    assert environ == {}


@pytest.mark.parametrize("mode", ["token", "init"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_no_token_on_an_open_address_is_refused(mode: str, host: str) -> None:
    with pytest.raises(SettingsError, match="a token is needed"):
        make_auth(AuthSettings(mode=mode), host, {"TOOLBOX_TOKEN": " "})  # type: ignore[arg-type]
    make_auth(AuthSettings(mode="none"), host, {})
    make_auth(AuthSettings(), host, {"TOOLBOX_TOKEN": "x"})


@pytest.mark.parametrize("content", [None, b"", b"\nsecond\n", b"\xff\n", b"with blanks in it\n"])
def test_a_bad_token_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError):
        make_auth(AuthSettings(token_file=str(file)), "127.0.0.1", {})


def test_the_first_init_sets_and_later_ones_need_the_token_in_force() -> None:
    auth = make_auth(AuthSettings(mode="init"), "127.0.0.1", {})
    initialize = auth.authenticator.initialize
    with pytest.raises(Unauthorized):
        auth.authenticate(bearer(""))
    initialize("", "")
    with pytest.raises(Unauthorized):
        auth.authenticate(bearer("x"))
    initialize("", "first")
    assert auth.authenticate(bearer("first")).method == "token"
    for header in ("", "Bearer wrong", "Basic first"):
        with pytest.raises(Unauthorized):
            initialize(header, "second")
    initialize("Bearer first", "second")
    assert auth.authenticate(bearer("second")).method == "token"
    with pytest.raises(Unauthorized):
        auth.authenticate(bearer("first"))


def test_a_configured_token_is_needed_for_the_first_init_too() -> None:
    auth = token_auth("configured")
    with pytest.raises(Unauthorized):
        auth.authenticator.initialize("", "mine")
    auth.authenticator.initialize("Bearer configured", "mine")
    assert auth.authenticate(bearer("mine")).method == "token"


def test_a_signing_key_is_set_only_by_who_may_set_the_token() -> None:
    auth = token_auth("configured")
    with pytest.raises(Unauthorized):
        auth.initialize("", "mine", "key")
    assert auth.store.signing_key == ""
    auth.initialize("Bearer configured", "mine", "key")
    assert (auth.store.token, auth.store.signing_key) == (b"mine", "key")
    # Anyone may ask here, and no token is set either.
    anyone = Auth(AnyoneAuthenticator(), SecretStore())
    anyone.initialize("", "mine", "key")
    assert (anyone.store.token, anyone.store.signing_key) == (b"", "")


@pytest.mark.parametrize("token", ["a b", "é", "a\nb", "x" * 5000])
def test_a_token_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(BadRequest):
        token_auth().authenticator.initialize("", token)


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return original(a, b)

    monkeypatch.setattr(tokens.hmac, "compare_digest", spy)
    with pytest.raises(Unauthorized):
        token_auth("short").authenticate(bearer("long" * 100))
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32)]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "", "localhost.example.org")],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_hangup_reads_the_secrets_again_and_ends_nothing(
    toy_service: ToyService, tmp_path: Path
) -> None:
    # F-D6: the worker was replaced, with every session in it, and the token was the old one
    token, key = tmp_path / "token", tmp_path / "key"
    token.write_text("first\n")
    key.write_text("key-1\n")
    settings = (
        f'[auth]\ntoken_file = "../../{token.name}"\nsigning_key_file = "{key}"\n'
        '[server]\nwork_dir = "/"\n'
    )
    service = toy_service("sockets", settings=settings, token=None)
    workers = service.workers()

    def hang_up(words: str) -> None:
        before = service.log().count(words)
        service.process.send_signal(signal.SIGHUP)
        service.wait_for(lambda: service.log().count(words) > before, words)

    def status(bearer: str) -> int:
        with service.client(bearer) as client:
            return client.get("/plugins").status_code

    with service.client("first") as client:
        ticket = client.post("/x/tickets").json()["ticket"]
        assert client.get("/plugins").status_code == 200
    hang_up("nothing is new")
    assert status("first") == 200
    token.write_text("second\n")
    key.write_text("key-2\n")
    hang_up("new token and signing key")
    assert (status("first"), status("second")) == (401, 200)
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        service.websocket(f"/sockets/echo?TOOLBOX_TICKET={ticket}", authorized=False)
    assert refused.value.status_code == 401
    for text in ("", "a b\n"):
        token.write_text(text)
        hang_up("nothing is changed")
        assert status("second") == 200
    token.unlink()
    hang_up("nothing is changed")
    assert status("second") == 200
    assert service.workers() == workers
    assert "second" not in service.log() and "key-2" not in service.log()


def test_a_hangup_leaves_a_token_that_came_from_elsewhere(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    # F-D6: the environment wins over the file, then as at the start
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    service = make_service(settings=f'[auth]\ntoken_file = "{file}"\n')
    workers = service.workers()
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "nothing is new" in service.log(), "the hangup")
    assert service.http.get("/plugins").status_code == 200
    assert service.workers() == workers

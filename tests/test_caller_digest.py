"""The second bearer token, known by its digest only."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from toolbox.auth import tokens
from toolbox.auth.factory import make_auth
from toolbox.errors import Unauthorized
from toolbox.settings import AuthSettings
from toolbox.settings import SettingsError
from toolbox.testing import TOKEN
from toolbox.testing import Service

CALLER = "the-control-plane-s+token/0="
OTHER = "the-token-of-another-sandbox"

MakeService = Callable[..., Service]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


ENVIRON = {"TOOLBOX_TOKEN": TOKEN, "TOOLBOX_CALLER_DIGEST": digest(CALLER)}


@pytest.fixture(scope="module")
def sandbox(
    tmp_path_factory: pytest.TempPathFactory, toy_site: Callable[..., object]
) -> Iterator[Service]:
    site = toy_site("greeter", "sockets")
    running = Service(
        tmp_path_factory.mktemp("service"),
        settings='[log]\nlevel = "debug"\naccess = true\naudit = "-"\n',
        env={**site.env, **ENVIRON},  # type: ignore[attr-defined]
    )
    try:
        yield running
    finally:
        running.stop()


def status(service: Service, token: str) -> int:
    with service.client(token) as client:
        return client.get("/plugins").status_code


def test_both_tokens_are_accepted_and_no_other(sandbox: Service) -> None:
    assert (status(sandbox, TOKEN), status(sandbox, CALLER)) == (200, 200)
    # Nor the digest itself, which is no secret to the sandbox.
    for wrong in (OTHER, digest(CALLER), digest(CALLER).upper(), CALLER[:-1]):
        assert status(sandbox, wrong) == 401


def test_websockets_accept_it_and_its_tickets(sandbox: Service) -> None:
    by_query = f"/sockets/echo?DAYTONA_SANDBOX_AUTH_KEY={CALLER.replace('+', '%2B')}"
    with sandbox.client(CALLER) as client:
        ticket = client.post("/x/tickets").json()["ticket"]
    for path in (by_query, f"/sockets/echo?TOOLBOX_TICKET={ticket}"):
        ws = sandbox.websocket(path, authorized=False)
        assert ws.recv() == "hello"
        ws.close()
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        sandbox.websocket(f"/sockets/echo?DAYTONA_SANDBOX_AUTH_KEY={OTHER}", authorized=False)
    assert refused.value.status_code == 401


def test_it_does_not_replace_the_token(sandbox: Service) -> None:
    with sandbox.client(CALLER) as client:
        response = client.post("/init", json={"token": "mine"})
    assert response.status_code == 403
    assert status(sandbox, TOKEN) == 200


def test_it_is_in_the_audit_log_by_its_kind_only(sandbox: Service) -> None:
    with sandbox.client(CALLER) as client:
        client.get("/greet/audited")
    sandbox.wait_for(lambda: '"auth":"caller"' in sandbox.log(), "the audit log")
    assert CALLER not in sandbox.log()


def test_the_digest_leaves_the_environment(sandbox: Service) -> None:
    body = {"command": "env; cat /proc/$PPID/environ"}
    shown = sandbox.http.post("/process/execute", json=body).json()["result"]
    assert "PATH=" in shown
    assert "TOOLBOX_CALLER_DIGEST" not in shown and digest(CALLER) not in shown
    for pid in (sandbox.process.pid, *sandbox.workers()):
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"HOME=" in environ and digest(CALLER).encode() not in environ


def test_preview_tokens_are_of_the_own_token() -> None:
    auths = [make_auth(AuthSettings(), "127.0.0.1", {**ENVIRON}) for _ in range(2)]
    alone = make_auth(AuthSettings(), "127.0.0.1", {"TOOLBOX_TOKEN": TOKEN})
    made = {auth.authenticator.preview_token(8000) for auth in (*auths, alone)}
    assert len(made) == 1


def test_a_proxied_application_does_not_get_it() -> None:
    auth = make_auth(AuthSettings(), "127.0.0.1", {**ENVIRON})
    for token, is_own in ((CALLER, True), (TOKEN, True), (OTHER, False)):
        environ = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
        assert ("authorization" in auth.credentials_in(environ).headers) is is_own


def test_the_accept_loop_recognizes_it() -> None:
    auth = make_auth(AuthSettings(), "127.0.0.1", {**ENVIRON})
    for token, known in ((CALLER, True), (TOKEN, True), (OTHER, False)):
        head = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        assert auth.recognizes(head.encode()) is known


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return False

    auth = make_auth(AuthSettings(), "127.0.0.1", {**ENVIRON})
    monkeypatch.setattr(tokens.hmac, "compare_digest", spy)
    with pytest.raises(Unauthorized):
        auth.authenticate({"HTTP_AUTHORIZATION": "Bearer x"})
    assert [(len(a), len(b)) for a, b in compared] == [(32, 32), (32, 32)]


def test_a_message_may_hold_it() -> None:
    # A client of Socket.IO sends its token in the first packet.
    authenticator = make_auth(AuthSettings(), "127.0.0.1", {**ENVIRON}).authenticator
    assert authenticator.authenticate_token(CALLER).method == "caller"
    with pytest.raises(Unauthorized):
        authenticator.authenticate_token(OTHER)


@pytest.mark.parametrize("value", ["x", digest(CALLER)[1:], digest(CALLER) + "0", "g" * 64])
def test_what_is_no_digest_is_refused_at_the_start(value: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "toolbox", "serve", "--port", "0"],
        env={**os.environ, "TOOLBOX_TOKEN": TOKEN, "TOOLBOX_CALLER_DIGEST": value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr == (
        "toolbox: the caller's digest must be a SHA-256: 64 hexadecimal digits\n"
    )


def test_it_does_not_replace_a_token_where_strangers_can_connect(tmp_path: Path) -> None:
    # Preview tokens are made of the own token.
    with pytest.raises(SettingsError, match="a token is needed"):
        make_auth(AuthSettings(), "0.0.0.0", {"TOOLBOX_CALLER_DIGEST": digest(CALLER)})


def test_a_hangup_reads_its_file_again(make_service: MakeService, tmp_path: Path) -> None:
    file = tmp_path / "digest"
    file.write_text(f" {digest(CALLER).upper()} \n")
    service = make_service(settings=f'[auth]\ncaller_digest_file = "{file}"\n')
    assert status(service, CALLER) == 200
    ticket_path = "/process/pty/none/connect?TOOLBOX_TICKET="
    with service.client(CALLER) as client:
        ticket_path += client.post("/x/tickets").json()["ticket"]

    def hang_up(words: str) -> None:
        service.process.send_signal(signal.SIGHUP)
        service.wait_for(lambda: words in service.log(), words)

    file.write_text("nonsense\n")
    hang_up("nothing is changed")
    assert status(service, CALLER) == 200
    file.write_text(digest("rotated"))
    hang_up("new caller's digest")
    assert (status(service, CALLER), status(service, "rotated")) == (401, 200)
    assert status(service, TOKEN) == 200
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        service.websocket(ticket_path, authorized=False)
    assert refused.value.status_code == 401

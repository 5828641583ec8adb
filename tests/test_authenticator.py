"""Another authenticator: the toy ``basic``, and what the core does for any of them."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from toolbox.testing import DEADLINE
from toolbox.testing import Service

ROOT = Path(__file__).parent.parent
PASSWORD = "open sesame, as they say"
SETTINGS = f"""
[auth]
mode = "plugin"
[basic.users]
ada = "{PASSWORD}"
"""
ENCODED = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
BASIC = {"Authorization": f"Basic {ENCODED}"}
COOKIE = {"Cookie": f"basic-session={ENCODED}"}
WRONG = base64.b64encode(b"ada:guess").decode()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, toy_site: Callable[..., Any]
) -> Iterator[Service]:
    """A service whose users are known by the toy ``basic``."""
    audit = '[log]\naudit = "../audit.log"\n'
    service = Service(
        tmp_path_factory.mktemp("guarded"),
        settings=SETTINGS + audit,
        env=toy_site("basic", "sockets").env,
        token=None,
    )
    yield service
    service.stop()


def audit(service: Service) -> list[dict[str, Any]]:
    lines = (service.directory / "audit.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_operation_but_the_public_ones_needs_the_credential(guarded: Service) -> None:
    paths = guarded.http.get("/openapi.json", headers=BASIC).json()["paths"]
    assert len(paths) > 100
    for path, item in paths.items():
        for method, operation in item.items():
            response = guarded.http.request(method, path)
            is_public = operation.get("security") == []
            assert (response.status_code != 401) == is_public, path
            if not is_public:
                assert response.headers["WWW-Authenticate"].startswith("Basic"), path
                if method != "head":
                    told = response.json()
                    # In the form of the dialect, where there is one.
                    message = told.get("message") or told["detail"]
                    assert message == "sign in with your user name and password"


@pytest.mark.parametrize("headers", [BASIC, COOKIE])
def test_the_credential_lets_in_and_the_audit_log_has_the_user(
    guarded: Service, headers: dict[str, str]
) -> None:
    (name,) = headers
    response = guarded.http.get("/plugins", headers={**headers, "X-Request-Id": f"by-{name}"})
    assert response.status_code == 200
    guarded.wait_for(
        lambda: any(
            (line["requestId"], line.get("auth"), line.get("user"))
            == (f"by-{name}", "basic", "ada")
            for line in audit(guarded)
        )
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Basic {WRONG}"},
        {"Authorization": "Basic ???"},
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Cookie": f"basic-session={WRONG}"},
        {"X-Daytona-Preview-Token": "preview_x"},
    ],
)
def test_nothing_else_lets_in(guarded: Service, headers: dict[str, str]) -> None:
    response = guarded.http.get("/plugins", headers=headers)
    assert response.status_code == 401
    assert response.json()["code"] == "UNAUTHORIZED"


def test_a_websocket_takes_the_credential_or_a_ticket(guarded: Service) -> None:
    header = [f"{name}: {value}" for name, value in BASIC.items()]
    guarded.websocket("/sockets/echo", header=header).close()
    ticket = guarded.http.post("/x/tickets", headers=BASIC).json()["ticket"]
    guarded.websocket(f"/sockets/echo?TOOLBOX_TICKET={ticket}").close()
    for path in ("/sockets/echo", f"/sockets/echo?TOOLBOX_TICKET={ticket}"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
            guarded.websocket(path)
    guarded.wait_for(
        lambda: any(
            (line.get("auth"), line.get("user")) == ("ticket", "ada") for line in audit(guarded)
        )
    )


def test_the_description_has_its_security_schemes(guarded: Service) -> None:
    document = guarded.http.get("/openapi.json", headers=BASIC).json()
    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"basic", "session", "signature"}
    assert document["security"] == [{"basic": []}, {"session": []}]
    assert document["paths"]["/init"]["post"]["security"] == [{"basic": []}, {"session": []}, {}]
    download = document["paths"]["/files/download"]["get"]["security"]
    assert download == [{"basic": []}, {"session": []}, {"signature": []}]


def test_no_token_can_be_set(guarded: Service) -> None:
    # Who starts a sandbox sends it in any mode.
    assert guarded.http.post("/init", json={"token": "mine"}).status_code == 401
    sent = guarded.http.post("/init", json={"token": "mine"}, headers=BASIC)
    assert sent.status_code < 300
    mine = {"Authorization": "Bearer mine"}
    assert guarded.http.get("/plugins", headers=mine).status_code == 401


def test_foreign_pages_are_refused_as_browsers_send_the_credential(guarded: Service) -> None:
    foreign = {**BASIC, "Origin": "https://elsewhere.example"}
    assert guarded.http.post("/x/tickets", headers=foreign).status_code == 403
    rebound = {**BASIC, "Host": "elsewhere.example"}
    assert guarded.http.get("/plugins", headers=rebound).status_code == 403
    own = {**BASIC, "Origin": guarded.url}
    assert guarded.http.post("/x/tickets", headers=own).status_code == 201


def exchange(service: Service, head: str) -> str:
    """Send a request to an application behind the proxy; return the head that it got."""
    with socket.create_server(("127.0.0.1", 0)) as application:
        application.settimeout(DEADLINE)
        port = application.getsockname()[1]
        with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as client:
            client.sendall(head.format(port=port).replace("\n", "\r\n").encode())
            connection, _ = application.accept()
            with connection:
                got = b""
                while b"\r\n\r\n" not in got:
                    got += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 204")
    return got.decode()


@pytest.mark.parametrize("upgrade", ["", "Connection: Upgrade\nUpgrade: websocket\n"])
def test_the_credential_never_reaches_an_application(guarded: Service, upgrade: str) -> None:
    handshake = upgrade and (
        f"{upgrade}Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n"
    )
    head = "GET /proxy/{port}/a?TOOLBOX_TICKET=x&b=c HTTP/1.1\nHost: localhost\n" + handshake
    by_header = exchange(guarded, f"{head}Authorization: Basic {ENCODED}\nCookie: own=1\n\n")
    assert ENCODED not in by_header and "TICKET" not in by_header
    assert by_header.startswith("GET /a?b=c HTTP/1.1")
    assert re.search(r"(?im)^cookie: own=1\r$", by_header)
    cookies = f"Cookie: own=1; basic-session={ENCODED}; other=2\n"
    by_cookie = exchange(guarded, f"{head}{cookies}Authorization: Bearer theirs\n\n")
    assert ENCODED not in by_cookie
    assert re.search(r"(?im)^cookie: own=1; other=2\r$", by_cookie)
    assert "Bearer theirs" in by_cookie, "the application's own"
    # A plugin may accept the token, too, and needn't know where it may stand.
    others = head.replace("TOOLBOX_TICKET", "DAYTONA_SANDBOX_AUTH_KEY")
    basic = f"Authorization: Basic {ENCODED}\n"
    assert "AUTH_KEY" not in exchange(guarded, f"{others}{basic}\n")
    preview = exchange(guarded, f"{head}{basic}X-Daytona-Preview-Token: preview_x\n\n")
    assert "preview" not in preview.lower()
    alone = exchange(guarded, f"{head}Cookie: basic-session={ENCODED}\n\n")
    assert "cookie" not in alone.lower()
    # WSGI joins headers by commas, and http.cookies also splits at spaces.
    for cookie in (
        f"own=1\nCookie: basic-session={ENCODED}",
        f"own=1 basic-session={ENCODED}",
        f"own=1; basic-session = {ENCODED}",
    ):
        separated = exchange(guarded, f"{head}{basic}Cookie: {cookie}\n\n")
        assert ENCODED not in separated
        assert re.search(r"(?im)^cookie: own=1\r$", separated)


def test_mistakes_of_an_authenticator_harm_one_request(toy_service: Callable[..., Service]) -> None:
    settings = '[auth]\nmode = "plugin"\n'
    service = toy_service("clumsy", settings=settings, token=None)
    key = {"X-Clumsy-Key": "swordfish"}
    assert service.http.get("/plugins", headers={"X-Clumsy-Key": "bug"}).status_code == 500
    for headers, status in ((key, 200), ({}, 401), (key, 200)):
        # Connections of their own: each one passes the accept loop.
        headers = {**headers, "Connection": "close"}
        assert service.http.get("/plugins", headers=headers).status_code == status
    head = "GET /proxy/{port}/a HTTP/1.1\nHost: localhost\n"
    assert "swordfish" not in exchange(service, f"{head}X-Clumsy-Key: swordfish\n\n")
    assert "swordfish" not in service.log()


# Choosing it


def toolbox(site: Any, settings: str, directory: Path, *arguments: str) -> tuple[int, str]:
    file = directory / "chosen.toml"
    file.write_text(settings)
    run = subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env={**os.environ, **site.env, "TOOLBOX_CONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("toys", "settings", "words"),
    [
        ((), '[auth]\nmode = "plugin"\n', "no enabled plugin offers an authenticator"),
        (("basic",), f'{SETTINGS}[plugins]\ndisable = ["basic"]\n', "no enabled plugin offers"),
        (("basic",), '[auth]\nmode = "plugin"\n', "basic can't be made: ValueError: no users"),
        (("basic",), f"{SETTINGS}[basic]\nuser = 1\n".replace("[basic.users]", "[x]"), "x"),
        (("basic", "stranger"), SETTINGS, "basic, stranger all offer an authenticator"),
        (("stranger",), '[auth]\nmode = "plugin"\n', "stranger returned None"),
    ],
)
def test_a_service_without_its_authenticator_does_not_start(
    site: Any, tmp_path: Path, toys: tuple[str, ...], settings: str, words: str
) -> None:
    for toy in toys:
        site.add(toy)
    for command in (("config", "--check"), ("serve", "--port", "0")):
        status, output = toolbox(site, settings, tmp_path, *command)
        assert status == 2, output
        assert words in output


def test_the_plugins_that_offer_one_are_shown(site: Any, tmp_path: Path) -> None:
    site.add("basic")
    _, chosen = toolbox(site, SETTINGS, tmp_path, "plugins")
    assert "* authenticator" in chosen
    _, other = toolbox(site, "", tmp_path, "plugins")
    assert "  authenticator" in other and "* authenticator" not in other
    _, document = toolbox(site, SETTINGS, tmp_path, "openapi")
    described, _ = json.JSONDecoder().raw_decode(document)
    assert set(described["components"]["securitySchemes"]) > {"basic", "session"}


def test_an_authenticator_that_is_not_chosen_changes_nothing(
    toy_service: Callable[..., Service],
) -> None:
    service = toy_service("basic", settings='[auth]\nmode = "init"\n', token=None)
    assert service.http.get("/plugins", headers=BASIC).status_code == 401
    assert service.http.post("/init", json={"token": "mine"}).status_code < 300
    mine = {"Authorization": "Bearer mine"}
    assert service.http.get("/plugins", headers=mine).status_code == 200
    scheme = service.http.get("/openapi.json", headers=mine).json()["security"]
    assert scheme == [{"bearer": []}]


# Nobody but the seam


BORDER = {
    "plugins/fleet/toolbox_fleet/gateway/credentials.py",
    "plugins/fleet/toolbox_fleet/gateway/previews.py",
}
"""Modules that tell this service's credentials from those of the sandboxes behind it."""


def test_only_auth_knows_where_a_token_stands() -> None:
    secret = re.compile(
        r"DAYTONA_SANDBOX_AUTH_KEY|TOKEN_QUERY|TICKET_QUERY|TOKEN_SUBPROTOCOL|X-Toolbox-Token~"
        r"|(?i:x-daytona-preview-token\b.*(get|pop|left_out))|auth\.mode ==|\.mode == \"(none|init)"
    )
    knowing = {
        str(file.relative_to(ROOT))
        for package in [ROOT / "toolbox", *ROOT.glob("plugins/*/toolbox_*")]
        for file in package.rglob("*.py")
        if secret.search(file.read_text())
    }
    assert {file for file in knowing if not file.startswith("toolbox/auth/")} == BORDER

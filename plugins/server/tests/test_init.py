"""POST /init: who may set the token, who may replace it, and what becomes of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from daytona_toolbox_api_client import ApiClient
from daytona_toolbox_api_client import Configuration
from daytona_toolbox_api_client import InitializeRequest
from daytona_toolbox_api_client import ServerApi

from toolbox.auth.signing import sign
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

MODE_INIT = '[auth]\nmode = "init"\n'
MODE_NONE = '[auth]\nmode = "none"\n'
FIRST = "the-first-token-0123456789"
SECOND = "the-second-token-9876543210"
THIRD = "the-third-token-5555555555"

Make = Callable[..., Service]


def init(service: Service, token: object, *, by: str | None = None) -> httpx.Response:
    with service.client(by) as client:
        return client.post("/init", json={"token": token})


def status(service: Service, token: str | None) -> int:
    """What an operation that needs the token answers to it."""
    with service.client(token) as client:
        return client.get("/openapi.json").status_code


def assert_unauthorized(answer: httpx.Response) -> None:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    body = answer.json()
    assert (body["statusCode"], body["code"]) == (401, "UNAUTHORIZED")
    assert (body["source"], body["path"], body["method"]) == ("DAYTONA_DAEMON", "/init", "POST")


def test_the_token_in_force_replaces_itself(make: Make) -> None:
    service = make()
    answer = init(service, SECOND, by=TOKEN)
    assert answer.status_code == 200
    assert isinstance(answer.json()["message"], str)
    assert status(service, SECOND) == 200
    assert status(service, TOKEN) == 401


@pytest.mark.parametrize("by", [None, "wrong", FIRST[:-1]])
def test_without_the_token_in_force_nothing_is_replaced(make: Make, by: str | None) -> None:
    service = make(token=FIRST)
    assert_unauthorized(init(service, SECOND, by=by))
    assert status(service, SECOND) == 401
    assert status(service, FIRST) == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", f"Basic {TOKEN}", TOKEN, f"Token {TOKEN}", "Bearer \xff"],
)
def test_only_a_bearer_token_counts(shared: Service, header: str) -> None:
    headers = {b"Authorization": header.encode("latin-1")}
    with shared.client(None) as client:
        answer = client.post("/init", json={"token": SECOND}, headers=headers)
    assert_unauthorized(answer)
    assert status(shared, TOKEN) == 200


def test_the_scheme_is_case_insensitive(make: Make) -> None:
    service = make()
    with service.client(None) as client:
        answer = client.post(
            "/init", json={"token": SECOND}, headers={"Authorization": f"bEaReR {TOKEN}"}
        )
    assert answer.status_code == 200


def test_the_query_key_of_websockets_replaces_nothing(shared: Service) -> None:
    with shared.client(None) as client:
        answer = client.post(
            "/init", params={"DAYTONA_SANDBOX_AUTH_KEY": TOKEN}, json={"token": SECOND}
        )
    assert_unauthorized(answer)


def test_in_mode_init_nobody_gets_in_before_the_first_token(make: Make) -> None:
    service = make(settings=MODE_INIT, token=None)
    assert [status(service, token) for token in (None, "", "anything")] == [401, 401, 401]


def test_in_mode_init_the_first_token_is_set_without_one(make: Make) -> None:
    service = make(settings=MODE_INIT, token=None)
    assert init(service, FIRST).status_code == 200
    assert status(service, FIRST) == 200
    assert status(service, None) == 401


def test_in_mode_init_later_tokens_need_the_one_in_force(make: Make) -> None:
    service = make(settings=MODE_INIT, token=None)
    assert init(service, FIRST).status_code == 200
    assert_unauthorized(init(service, SECOND))
    assert_unauthorized(init(service, SECOND, by=SECOND))
    assert init(service, SECOND, by=FIRST).status_code == 200
    assert_unauthorized(init(service, FIRST, by=FIRST))
    assert (status(service, FIRST), status(service, SECOND)) == (401, 200)


def test_of_many_first_tokens_at_once_one_is_set(make: Make) -> None:
    service = make(settings=MODE_INIT, token=None)
    tokens = [f"token-{number}" for number in range(16)]
    with ThreadPoolExecutor(len(tokens)) as pool:
        answers = list(pool.map(lambda token: init(service, token).status_code, tokens))
    assert sorted(answers) == [200] + [401] * 15
    assert [status(service, token) for token in tokens] == answers


def test_in_mode_init_a_configured_token_is_the_one_in_force(make: Make) -> None:
    service = make(settings=MODE_INIT, token=FIRST)
    assert_unauthorized(init(service, SECOND))
    assert init(service, SECOND, by=FIRST).status_code == 200


def test_in_mode_none_a_token_locks_nobody_out(make: Make) -> None:
    service = make(settings=MODE_NONE, token=None)
    assert init(service, FIRST).status_code == 200
    assert status(service, None) == 200


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": ""}, {"other": 1}])
def test_no_token_changes_nothing(make: Make, body: dict[str, object]) -> None:
    service = make(settings=MODE_INIT, token=None)
    with service.client(None) as client:
        assert client.post("/init", json=body).status_code == 200
    assert status(service, "") == 401
    assert init(service, FIRST).status_code == 200
    with service.client(None) as client:
        assert_unauthorized(client.post("/init", json=body))
    assert status(service, FIRST) == 200


@pytest.mark.parametrize("token", ["a b", "a\n", "ä", "\0", " ", "x" * 4095])
def test_a_token_no_header_can_carry_is_refused(shared: Service, token: str) -> None:
    answer = init(shared, token, by=TOKEN)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert token == " " or token not in answer.json()["message"]
    assert status(shared, TOKEN) == 200


def test_the_longest_token_works(make: Make) -> None:
    service = make()
    token = "x" * 4094
    assert init(service, token, by=TOKEN).status_code == 200
    assert status(service, token) == 200
    assert init(service, FIRST, by=token).status_code == 200
    assert (status(service, FIRST), status(service, token)) == (200, 401)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"token": 1}', b'{"token": ["x"]}'])
def test_a_malformed_body_is_400(shared: Service, body: bytes) -> None:
    with shared.client(None) as client:
        assert client.post("/init", content=body).status_code == 401  # By the token alone.
    answer = shared.http.post("/init", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")
    assert answer.json()["source"] == "DAYTONA_DAEMON"


def test_the_rotated_token_survives_the_worker(make: Make) -> None:
    service = make()
    assert init(service, SECOND, by=TOKEN).status_code == 200
    kill_worker(service)
    assert status(service, SECOND) == 200
    assert status(service, TOKEN) == 401
    assert_unauthorized(init(service, FIRST, by=TOKEN))


def signed(service: Service, key: str) -> int:
    """The status of the response to a URL that is signed with a key."""
    query = {"path": "/", "expires": "0", "signature": sign(key, "child", "GET", "/", 0)}
    with service.client(None) as client:
        return client.get("/child/signed", params=query).status_code


def test_a_signing_key_comes_with_the_token(make: Make) -> None:
    service = make(token=FIRST)
    change = {"token": SECOND, "signingKey": "a-key"}
    for by, body, expected in (
        (None, change, 401),
        (SECOND, {**change, "signingKey": "a key"}, 401),
        (FIRST, {**change, "signingKey": "a key"}, 400),
        (FIRST, {"signingKey": "a-key"}, 200),
    ):
        with service.client(by) as client:
            assert client.post("/init", json=body).status_code == expected
        assert (status(service, FIRST), signed(service, "a-key")) == (200, 401), body
    with service.client(FIRST) as client:
        assert client.post("/init", json=change).status_code == 200
    kill_worker(service)
    assert (status(service, SECOND), signed(service, "a-key")) == (200, 200)
    assert init(service, THIRD, by=SECOND).status_code == 200
    assert signed(service, "a-key") == 200, "it stays"


def test_the_first_token_survives_the_worker(make: Make) -> None:
    service = make(settings=MODE_INIT, token=None)
    assert init(service, FIRST).status_code == 200
    kill_worker(service)
    assert_unauthorized(init(service, SECOND))
    assert status(service, FIRST) == 200


def kill_worker(service: Service) -> None:
    """End the worker by SIGKILL, and wait for its successor."""
    (before,) = service.workers()
    os.kill(before, signal.SIGKILL)
    service.wait_for(lambda: service.workers() and before not in service.workers(), "a new worker")
    service.wait_for(lambda: is_ready(service), "its readiness")


def is_ready(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz", timeout=DEADLINE).status_code == 200
    except httpx.TransportError:
        return False


def test_tokens_are_seen_nowhere(make: Make) -> None:
    settings = '[log]\nlevel = "debug"\naccess = true\n'
    service = make(settings=settings, token=FIRST)
    texts = []
    with service.client(FIRST) as client:
        for body in (b'{"token": 1', b'{"token": {"a": "' + SECOND.encode() + b'"}}'):
            texts.append(client.post("/init", content=body).text)
        texts.append(client.post("/init", json={"token": f"{SECOND} \n"}).text)
        texts.append(client.post("/init", json={"token": SECOND}).text)
    with service.client(SECOND) as client:
        for path in ("/plugins", "/openapi.json", "/child/env", "/nowhere"):
            answer = client.get(path, params={"DAYTONA_SANDBOX_AUTH_KEY": SECOND})
            texts.append(answer.text + str(answer.headers))
        texts.append(
            client.post("/init", json={"token": THIRD}, headers={"Authorization": "x"}).text
        )
    for pid in (service.process.pid, *service.workers()):
        texts.append(Path(f"/proc/{pid}/cmdline").read_text())
    service.wait_for(lambda: "'/nowhere' 4" in service.log(), "the access log")
    texts.append(service.log())
    for text in texts:
        for token in (FIRST, SECOND, THIRD):
            assert token not in text


def test_the_generated_client_sets_the_token(make: Make) -> None:
    service = make(settings=MODE_INIT, token=None)
    with ApiClient(Configuration(host=service.url)) as client:
        answer = ServerApi(client).initialize(request=InitializeRequest(token=FIRST))
    assert set(answer) == {"message"}
    assert status(service, FIRST) == 200

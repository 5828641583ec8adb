"""POST /env: what processes started from now on inherit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from daytona_toolbox_api_client import ApiClient
from daytona_toolbox_api_client import Configuration
from daytona_toolbox_api_client import ServerApi
from daytona_toolbox_api_client import UpdateEnvRequest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

Make = Callable[..., Service]


VARIABLES = {"KEEP": "kept", "P_ONE": "secret:1", "P_TWO": "secret:2", "P_SECRET": "other"}


@pytest.fixture
def running(shared: Service) -> Service:
    """A service whose children inherit ``VARIABLES``."""
    update(shared, set=VARIABLES).raise_for_status()
    return shared


def update(service: Service, **change: Any) -> httpx.Response:
    return service.http.post("/env", json=change)


def child_env(service: Service) -> dict[str, str]:
    found: dict[str, str] = service.http.get("/child/env").raise_for_status().json()
    return found


def test_set_adds_and_replaces(running: Service) -> None:
    answer = update(running, set={"NEW": "new", "KEEP": "changed", "EMPTY": "", "LINE": "a\nb=ü"})
    assert answer.status_code == 200
    assert isinstance(answer.json()["message"], str)
    env = child_env(running)
    assert [env[name] for name in ("NEW", "KEEP", "EMPTY", "LINE")] == [
        "new",
        "changed",
        "",
        "a\nb=ü",
    ]


def test_null_is_an_empty_value(running: Service) -> None:
    assert update(running, set={"NULL": None}).status_code == 200
    assert child_env(running)["NULL"] == ""


def test_unset_drops_and_ignores_the_absent(running: Service) -> None:
    assert update(running, unset=["KEEP", "NEVER_SET"]).status_code == 200
    env = child_env(running)
    assert "KEEP" not in env
    assert env["P_ONE"] == "secret:1"


def test_set_wins_over_unset(running: Service) -> None:
    assert update(running, set={"KEEP": "again"}, unset=["KEEP"]).status_code == 200
    assert child_env(running)["KEEP"] == "again"


def test_unset_value_prefix_drops_by_value_but_not_what_is_set(running: Service) -> None:
    assert update(running, set={"P_TWO": "secret:3"}, unsetValuePrefix="secret:").status_code == 200
    env = child_env(running)
    assert "P_ONE" not in env
    assert (env["P_TWO"], env["P_SECRET"], env["KEEP"]) == ("secret:3", "other", "kept")


def test_an_unset_name_is_dropped_whatever_the_prefix(running: Service) -> None:
    assert update(running, unset=["P_SECRET"], unsetValuePrefix="secret:").status_code == 200
    assert {name for name in child_env(running) if name.startswith("P_")} == set()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"set": {}, "unset": [], "unsetValuePrefix": ""},
        {"set": None, "unset": None, "unsetValuePrefix": None},
        {"somethingElse": 1},
    ],
)
def test_no_change_changes_nothing(running: Service, change: dict[str, Any]) -> None:
    before = child_env(running)
    assert update(running, **change).status_code == 200
    assert child_env(running) == before


@pytest.mark.parametrize(
    "bad",
    [
        {"set": {"": "x"}},
        {"set": {"A=B": "x"}},
        {"set": {"A\0B": "x"}},
        {"set": {"A": "x\0y"}},
        {"unset": [""]},
        {"unset": ["A=B"]},
        {"unset": ["A\0"]},
        {"set": {"LONG": "x" * 200_000}},
        {"set": {f"MANY_{number}": "x" * 100_000 for number in range(80)}},
    ],
)
def test_an_invalid_change_changes_nothing_at_all(running: Service, bad: dict[str, Any]) -> None:
    before = child_env(running)
    change: dict[str, Any] = {
        "set": {"GOOD": "x"},
        "unset": ["KEEP"],
        "unsetValuePrefix": "secret:",
    }
    change["set"] = {**change["set"], **bad.get("set", {})}
    change["unset"] = [*change["unset"], *bad.get("unset", [])]
    answer = update(running, **change)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], body["source"]) == ("BAD_REQUEST", "DAYTONA_DAEMON")
    assert len(body["message"]) < 200
    assert child_env(running) == before


def test_the_longest_value_can_still_be_inherited(running: Service) -> None:
    value = "x" * (32 * os.sysconf("SC_PAGE_SIZE") - 1 - len("LONG="))
    assert update(running, set={"LONG": value}).status_code == 200
    assert child_env(running)["LONG"] == value
    assert update(running, set={"LONG": value + "x"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"set": []}',
        b'{"set": {"A": 1}}',
        b'{"set": {"A": ["x"]}}',
        b'{"unset": {}}',
        b'{"unset": [1]}',
        b'{"unset": [null]}',
        b'{"unsetValuePrefix": 1}',
    ],
)
def test_a_malformed_body_is_400(running: Service, body: bytes) -> None:
    answer = running.http.post("/env", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")


def test_half_an_emoji_is_a_replacement_character(running: Service) -> None:
    """F-C8: JavaScript cuts strings in the middle of a pair."""
    answer = running.http.post("/env", content=b'{"set": {"HALF": "x\\ud800y", "B": "\\udfff"}}')
    assert answer.status_code == 200
    ran = running.http.post("/process/execute", json={"command": "echo $HALF$B"})
    assert ran.json()["result"] == "x\ufffdy\ufffd\n"


def test_it_needs_the_token(running: Service) -> None:
    with running.client(None) as client:
        answer = client.post("/env", json={"set": {"A": "b"}})
    assert answer.status_code == 401


def test_a_child_inherits_all_of_a_change_or_nothing(running: Service) -> None:
    names = [f"PART_{number}" for number in range(200)]

    def change(number: int) -> int:
        drop = {"unset": names} if number % 2 else {"set": dict.fromkeys(names, str(number))}
        with running.client(TOKEN) as client:
            return client.post("/env", json=drop).status_code

    def look(_: int) -> set[str | None]:
        with running.client(TOKEN) as client:
            env = client.get("/child/env").raise_for_status().json()
        return {env.get(name) for name in names}

    with ThreadPoolExecutor(8) as pool:
        changed = pool.map(change, range(40))
        seen = list(pool.map(look, range(40)))
        assert set(changed) == {200}
    assert {len(values) for values in seen} == {1}


def test_it_gives_nobody_another_token(make: Make) -> None:
    running = make()
    assert update(running, set={"TOOLBOX_TOKEN": "mine", "TOOLBOX__AUTH__MODE": "none"}).is_success
    (before,) = running.workers()
    os.kill(before, signal.SIGKILL)
    running.wait_for(
        lambda: running.workers() and before not in running.workers() and is_served(running),
        "a new worker",
    )
    for token, status in ((None, 401), ("mine", 401), (TOKEN, 200)):
        with running.client(token) as client:
            assert client.get("/plugins").status_code == status
    assert "TOOLBOX_TOKEN" not in child_env(running), "a new worker starts afresh"


def is_served(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz", timeout=DEADLINE).status_code == 200
    except httpx.TransportError:
        return False


def test_the_services_own_token_is_not_inherited(running: Service) -> None:
    assert TOKEN not in child_env(running).values()
    assert "TOOLBOX_TOKEN" not in child_env(running)


def test_what_serves_leaves_nothing_in_the_environment(running: Service) -> None:
    assert "SERVER_SOFTWARE" not in child_env(running)  # gunicorn sets it.


def test_the_generated_client_changes_the_environment(running: Service) -> None:
    configuration = Configuration(host=running.url)
    with ApiClient(configuration, "Authorization", f"Bearer {TOKEN}") as client:
        change = UpdateEnvRequest(set={"BY_SDK": "1"}, unset=["KEEP"])
        assert set(ServerApi(client).update_env(request=change)) == {"message"}
    env = child_env(running)
    assert env["BY_SDK"] == "1"
    assert "KEEP" not in env

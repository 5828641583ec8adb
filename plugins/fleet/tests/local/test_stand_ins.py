"""Clients that keep calling the port of a sandbox that doesn't run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

MakeFleet = Callable[..., Any]


def ask(client: httpx.Client, sandbox: dict[str, Any]) -> httpx.Response:
    url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}/work-dir"
    return client.get(url, headers={"Authorization": f"Bearer {TOKEN}"})


def test_a_sandboxes_own_port_tells_its_state_while_it_is_stopped(make_fleet: MakeFleet) -> None:
    # Without isolation every client on this machine is sent straight there, whoever runs the test.
    fleet = make_fleet('isolation = "none"\n')
    sandbox = fleet.create(name="away")
    assert str(fleet.service.port) not in sandbox["toolboxProxyUrl"]
    with httpx.Client(timeout=DEADLINE) as client:
        assert ask(client, sandbox).status_code == 200
        for _ in range(2):
            fleet.call("POST", "/api/sandbox/away/stop")
            fleet.wait("away", "stopped")
            answer = ask(client, sandbox)
            assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
            assert "not running, its state is stopped" in answer.json()["message"]
            # It is no way past the token.
            url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}/work-dir"
            assert httpx.get(url, timeout=DEADLINE).status_code == 401
            fleet.call("POST", "/api/sandbox/away/start")
            # The service has its port back, and the kept connection leads there by the gateway.
            assert fleet.wait("away", "started")["toolboxProxyUrl"] == sandbox["toolboxProxyUrl"]
            assert ask(client, sandbox).status_code == 200
        for pid in fleet.masters(sandbox["id"]):
            fleet.end(pid)
        fleet.service.wait_for(lambda: fleet.get("away")["state"] == "error", "its end")
        answer = ask(client, sandbox)
    assert answer.status_code == 409
    assert "its state is error" in answer.json()["message"]
    fleet.delete("away")


def test_a_new_control_plane_has_those_of_the_last(make_fleet: MakeFleet) -> None:
    fleet = make_fleet('isolation = "none"\n')
    asleep, running = fleet.create(name="asleep"), fleet.create(name="running")
    fleet.call("POST", "/api/sandbox/asleep/stop")
    fleet.wait("asleep", "stopped")
    fleet.kill()
    fleet.start()
    assert fleet.run(running, "echo on").strip() == "on"
    # Nobody has asked this control plane for its URL.
    fleet.call("POST", "/api/sandbox/running/stop")
    for sandbox in (asleep, running):
        fleet.service.wait_for(lambda one=sandbox: tells_the_state(one), "a response")
    fleet.call("POST", "/api/sandbox/asleep/start")
    assert fleet.wait("asleep", "started")["toolboxProxyUrl"] == asleep["toolboxProxyUrl"]


def tells_the_state(sandbox: dict[str, Any]) -> bool:
    with httpx.Client(timeout=DEADLINE) as client:
        try:
            answer = ask(client, sandbox)
        except httpx.TransportError:
            return False  # Nobody listens there yet, or the service that does ends.
    return answer.status_code == 409 and "its state is stopped" in answer.json()["message"]

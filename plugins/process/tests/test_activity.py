"""What counts as a running job in ``GET /x/activity``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import websocket

from toolbox.testing import Service


def activity(service: Service) -> dict[str, Any]:
    report: dict[str, Any] = service.http.get("/x/activity").json()
    return report


def running(service: Service) -> int:
    count: int = activity(service)["runningJobs"]
    return count


def wait_for_jobs(service: Service, count: int) -> None:
    service.wait_for(lambda: running(service) == count, f"{count} running jobs")


@pytest.fixture
def gate(service: Service) -> Callable[[str], str]:
    """Return a command that runs until the file is there: ``gate(name)``."""
    return lambda name: f"until test -e {service.work_dir}/{name}; do sleep 0.05; done"


def open_gate(service: Service, name: str) -> None:
    (service.work_dir / name).touch()


def test_a_command_is_and_its_end_is_activity(service: Service, gate: Callable[[str], str]) -> None:
    with ThreadPoolExecutor() as pool:
        body = {"command": gate("execute")}
        request = pool.submit(service.http.post, "/process/execute", json=body)
        wait_for_jobs(service, 1)
        report = activity(service)
        assert report["busy"] and report["inFlight"] == 1
        open_gate(service, "execute")
        assert request.result().json()["exitCode"] == 0
    wait_for_jobs(service, 0)


def test_a_background_job_is_without_any_request(
    service: Service, gate: Callable[[str], str]
) -> None:
    service.http.post("/x/jobs", json={"command": gate("job")}).raise_for_status()
    before = activity(service)
    assert (before["runningJobs"], before["busy"], before["inFlight"]) == (1, True, 0)
    open_gate(service, "job")
    wait_for_jobs(service, 0)
    after = activity(service)
    assert after["lastActivityAt"] > before["lastActivityAt"]
    assert not after["busy"]


def test_a_command_of_a_session_is_and_its_idle_shell_is_not(
    service: Service, gate: Callable[[str], str]
) -> None:
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    assert running(service) == 0
    body = {"command": gate("session"), "runAsync": True}
    service.http.post("/process/session/s/exec", json=body).raise_for_status()
    assert running(service) == 1
    open_gate(service, "session")
    wait_for_jobs(service, 0)
    assert not activity(service)["busy"]


def test_code_in_an_interpreter_is_and_an_idle_interpreter_is_not(service: Service) -> None:
    ws = service.websocket("/process/interpreter/execute")
    gate = service.work_dir / "interpreter"
    code = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    ws.send(json.dumps({"code": code}))
    wait_for_jobs(service, 1)
    gate.touch()
    # The interpreter itself runs on.
    wait_for_jobs(service, 0)
    ws.close()


def _type(ws: websocket.WebSocket, text: str) -> None:
    ws.send_binary(text.encode())


def test_a_program_in_a_terminal_is_and_its_idle_shell_is_not(
    service: Service, gate: Callable[[str], str]
) -> None:
    body = {"id": "t"}
    service.http.post("/process/pty", json=body).raise_for_status()
    assert activity(service)["openSockets"] == 0
    ws = service.websocket("/process/pty/t/connect")
    _type(ws, f"sh -c '{gate('terminal')}'\n")
    wait_for_jobs(service, 1)
    ws.close()
    # Nobody is connected now, and the program goes on.
    service.wait_for(lambda: activity(service)["openSockets"] == 0, "the close")
    assert activity(service)["busy"]
    open_gate(service, "terminal")
    wait_for_jobs(service, 0)
    assert service.http.get("/process/pty/t").json()["active"]
    service.http.delete("/process/pty/t").raise_for_status()


def test_in_bubblewrap_a_terminal_is_seen_as_well(
    make_service: Callable[..., Service],
) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    service = make_service(settings='[process.local]\nlauncher = "bubblewrap"\n')
    service.http.post("/process/pty", json={"id": "t"}).raise_for_status()
    ws = service.websocket("/process/pty/t/connect")
    name = service.work_dir / "wrapped"
    _type(ws, f"sh -c 'until test -e {name}; do sleep 0.05; done'\n")
    wait_for_jobs(service, 1)
    name.touch()
    wait_for_jobs(service, 0)
    ws.close()

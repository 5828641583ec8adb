"""The end of the X server in the middle of each operation."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from toolbox.processes import descendants
from toolbox.testing import DEADLINE

from .conftest import Form
from .conftest import Watcher
from .conftest import need_gtk

OPERATIONS = [
    ("GET", "screenshot", {"showCursor": "true"}),
    ("GET", "screenshot/region", {"x": 1, "y": 1, "width": 9, "height": 9}),
    ("GET", "screenshot/compressed", {"format": "jpeg"}),
    ("GET", "screenshot/region/compressed", {"x": -1, "y": 1, "width": 9, "height": 9}),
    ("GET", "mouse/position", {}),
    ("POST", "mouse/move", {"x": 1}),
    ("POST", "mouse/click", {"x": 1, "modifiers": ["ctrl"]}),
    ("POST", "mouse/drag", {"endX": 400}),
    ("POST", "mouse/scroll", {"direction": "up", "amount": 50}),
    ("POST", "mouse/down", {}),
    ("POST", "mouse/up", {}),
    ("POST", "keyboard/type", {"text": "abc 日本語"}),
    ("POST", "keyboard/key", {"key": "f13"}),
    ("POST", "keyboard/hotkey", {"keys": "ctrl+c"}),
    ("POST", "keyboard/down", {"key": "shift"}),
    ("POST", "keyboard/up", {"key": "shift"}),
    ("GET", "display/info", {}),
    ("GET", "display/windows", {}),
    ("POST", "recordings/start", {}),
]


class Request:
    """A request that was sent and whose response is pending."""

    def __init__(self, desk: Any, method: str, path: str, values: dict[str, Any]) -> None:
        url, body = f"/computeruse/{path}", ""
        if method == "GET":
            url += f"?{urlencode(values)}"
        else:
            body = json.dumps(values)
        self._connection = HTTPConnection("127.0.0.1", desk.service.port, timeout=DEADLINE)
        headers = {"Authorization": f"Bearer {desk.service.token}"}
        self._connection.request(method, url, body or None, headers)
        # Later requests on equally new connections have responses: this one is being processed.
        for _ in range(10):
            with desk.service.client(desk.service.token) as client:
                assert client.get("/computeruse/process-status").status_code == 200

    def answer(self) -> tuple[int, Any]:
        """Return status and body of the response."""
        response = self._connection.getresponse()
        body = json.loads(response.read())
        self._connection.close()
        return response.status, body


@pytest.fixture(scope="module")
def mortal(shared_desk: Any) -> Iterator[Any]:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (Debian: ffmpeg)")
    before = resources(shared_desk)
    yield shared_desk
    restart(shared_desk)
    processes, descriptors = resources(shared_desk)
    assert processes <= before[0]
    assert descriptors <= before[1] + 3


def resources(desk: Any) -> tuple[int, int]:
    """Count the service's descendants and open descriptors."""
    use_connections(desk)
    [worker] = desk.service.workers()
    processes = len(descendants(desk.service.process.pid))
    return processes, len(list(Path(f"/proc/{worker}/fd").iterdir()))


def use_connections(desk: Any) -> int:
    """Open the connections to the server; return the server's pid.

    And that whatever is loaded at its first use has been: it would delay a request.
    """
    pid: int = desk.post("start")["status"]["xvfb"]["pid"]
    desk.get("display/info")
    desk.get("mouse/position")
    desk.get("screenshot", showCursor="true")
    return pid


def restart(desk: Any) -> None:
    """Restart the server without the pauses that grow with each end."""
    desk.post("stop")
    desk.post("start")


# AC-82
@pytest.mark.parametrize(("method", "path", "values"), OPERATIONS, ids=lambda each: str(each))
def test_an_operation_ends_with_the_server(
    mortal: Any, method: str, path: str, values: dict[str, Any]
) -> None:
    pid = use_connections(mortal)
    os.kill(pid, signal.SIGSTOP)
    request = Request(mortal, method, path, values)
    os.kill(pid, signal.SIGKILL)
    status, error = request.answer()
    assert (status, error["code"]) == (503, "DISPLAY_UNAVAILABLE")
    # The operation failed on its connection; it did not look for another server.
    assert "disconnected" in error["message"]
    restart(mortal)
    status, answer = Request(mortal, method, path, values).answer()
    assert status in (200, 201), answer
    for each in mortal.get("recordings")["recordings"]:
        if each["status"] == "recording":
            mortal.post("recordings/stop", id=each["id"])


def test_a_text_that_is_half_typed(mortal: Any) -> None:
    watcher = Watcher(mortal)
    pid = use_connections(mortal)
    request = Request(mortal, "POST", "keyboard/type", {"text": "x" * 500, "delay": 100})
    watcher.wait_for(2, "KeyPress")
    os.kill(pid, signal.SIGKILL)
    status, error = request.answer()
    assert (status, error["code"]) == (503, "DISPLAY_UNAVAILABLE")
    mortal.end_programs()
    restart(mortal)


def test_what_is_asked_of_a_program_that_dies_too(mortal: Any, tmp_path: Path) -> None:
    need_gtk()
    form = Form(mortal, tmp_path)
    [button] = form.find(role="push button")
    pid = use_connections(mortal)
    os.kill(form.program.pid, signal.SIGSTOP)
    values = {"scope": "pid", "pid": form.program.pid}
    requests = [
        Request(mortal, "GET", "a11y/tree", values),
        Request(mortal, "POST", "a11y/find", values),
        *(
            Request(mortal, "POST", f"a11y/node/{path}", {"id": button["id"], "value": "x"})
            for path in ("focus", "invoke", "value")
        ),
    ]
    os.kill(pid, signal.SIGKILL)
    os.kill(form.program.pid, signal.SIGKILL)
    for request in requests:
        status, error = request.answer()
        assert (status, error["code"]) in [
            *((404, "A11Y_NODE_NOT_FOUND"), (404, "A11Y_NO_ACCESSIBLE_ROOT")),
            (503, "A11Y_UNAVAILABLE"),
        ]
    mortal.end_programs()
    restart(mortal)
    assert mortal.get("a11y/tree", scope="all", maxDepth=0)["root"]["role"] == "desktop frame"


@pytest.mark.parametrize("path", ["start", "stop", "process/xvfb/restart", "process/xfce4/restart"])
def test_the_desktop_is_started_and_ended_all_the_same(mortal: Any, path: str) -> None:
    pid = use_connections(mortal)
    os.kill(pid, signal.SIGSTOP)
    request = Request(mortal, "POST", path, {})
    os.kill(pid, signal.SIGKILL)
    assert request.answer()[0] == 200
    restart(mortal)
    assert mortal.get("screenshot")["width"] == 1280


def test_a_recording_that_loses_its_screen_can_be_listed_and_deleted(mortal: Any) -> None:
    pid = use_connections(mortal)
    number = mortal.post("recordings/start", status=201)["id"]
    os.kill(pid, signal.SIGKILL)
    mortal.wait_for(
        lambda: mortal.get(f"recordings/{number}")["status"] == "failed", "the end of the film"
    )
    assert mortal.post("recordings/stop", status=404, id=number)["code"] == "RECORDING_NOT_FOUND"
    deleted = mortal.service.http.delete(f"/computeruse/recordings/{number}")
    assert deleted.status_code == 204
    restart(mortal)

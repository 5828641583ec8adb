"""The desktop's programs: start, restart, stop, unexpected end, and missing ones."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from toolbox_computeruse.connection import server_responds

from toolbox.processes import descendants
from toolbox.testing import ending

from .conftest import alive
from .conftest import free_display
from .conftest import free_port


def test_start_and_stop_twice(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    assert desk.get("status") == desk.get("process-status") == {"status": "inactive"}
    assert desk.get("process/xvfb/status") == {"processName": "xvfb", "running": False}
    first = desk.post("start")["status"]
    assert desk.post("start")["status"] == first
    assert desk.get("status") == {"status": "active"}
    priorities = [each["priority"] for each in first.values()]
    assert priorities == sorted(priorities)
    assert first["xvfb"]["running"] and first["xfce4"]["running"]
    pids = [each["pid"] for each in first.values() if each["pid"]]
    below = {below for pid in pids for below in descendants(pid)}
    assert all(not each["running"] for each in desk.post("stop")["status"].values())
    assert not any(alive(pid) for pid in {*pids, *below})
    assert not server_responds(desk.display)
    assert desk.post("stop")["message"]
    again = desk.post("start")["status"]
    assert again["xvfb"]["pid"] != first["xvfb"]["pid"]
    assert desk.get("screenshot")["width"] == 1280


def test_a_session_bus_that_is_gone_is_replaced(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(env={"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent"})
    pid = desk.post("start")["status"]["xfce4"]["pid"]
    environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert f"DISPLAY={desk.display}".encode() in environ
    assert any(each.startswith(b"DBUS_SESSION_BUS_ADDRESS=unix:abstract=") for each in environ)
    desk.wait_for(lambda: desk.get("process/atspi/status")["running"], "the accessibility bus")


def test_vnc_is_served_to_this_machine_only(make_desk: Callable[..., Any]) -> None:
    if shutil.which("x11vnc") is None or shutil.which("websockify") is None:
        pytest.skip("x11vnc or websockify is not installed (Debian: x11vnc, websockify)")
    vnc, novnc = free_port(), free_port()
    desk = make_desk(f"vnc = true\nvnc_port = {vnc}\nnovnc_port = {novnc}")
    status = desk.post("start")["status"]
    assert status["x11vnc"]["running"] and status["novnc"]["running"]
    with socket.create_connection(("127.0.0.1", vnc), 10) as sock:
        assert sock.recv(4) == b"RFB "
    for port in (vnc, novnc):
        assert listening(port) == ["0100007F"]  # 127.0.0.1, as Linux shows it.
    desk.post("process/novnc/restart")
    desk.wait_for(lambda: desk.get("process/novnc/status")["running"], "novnc")
    desk.post("stop")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", novnc), 10)


def listening(port: int) -> list[str]:
    """Return the addresses, in hexadecimal, on which a process listens at a TCP port."""
    lines = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    fields = [line.split() for line in lines.splitlines()]
    places = [each[1].split(":") for each in fields if each[3] == "0A"]
    return [address for address, number in places if int(number, 16) == port]


def test_a_program_that_is_killed_comes_back(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    first = desk.post("start")["status"]
    os.kill(first["xvfb"]["pid"], signal.SIGKILL)
    # A start waits until all programs are ready again, whichever ended.
    desk.wait_for(lambda: not alive(first["xvfb"]["pid"]), "the end")
    again = desk.post("start")["status"]
    assert again["xvfb"]["pid"] not in (None, first["xvfb"]["pid"])
    assert desk.post("mouse/move", x=5, y=6) == {"x": 5, "y": 6}
    assert desk.get("screenshot")["height"] == 800


def test_a_server_that_does_not_answer_is_not_waited_for(make_desk: Callable[..., Any]) -> None:
    desk = make_desk("x_timeout = 2")
    pid = desk.post("start")["status"]["xvfb"]["pid"]
    desk.get("mouse/position")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert desk.get("mouse/position", status=503)["code"] == "DISPLAY_UNAVAILABLE"
        assert desk.get("screenshot", status=503)["code"] == "DISPLAY_UNAVAILABLE"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert desk.get("screenshot")["width"] == 1280


def test_held_keys_are_let_go_at_the_stop(make_desk: Callable[..., Any]) -> None:
    # Without -noreset the server would release the keys when its last client disconnects.
    command = ["Xvfb", display := free_display(), "-noreset"]
    with ending(subprocess.Popen(command, stderr=subprocess.DEVNULL)):
        desk = make_desk('attach = true\nwindow_manager = "none"', display=display)
        desk.wait_for(lambda: server_responds(display), "the server")
        desk.post("start")
        assert desk.get("status") == {"status": "active"}
        desk.post("keyboard/down", key="ctrl")
        desk.post("mouse/down")
        assert pressed(display) == (1, 4 | 0x100)
        desk.post("stop")
        assert pressed(display) == (0, 0)
        # The server of another desktop keeps running.
        assert server_responds(display)


def pressed(display: str) -> tuple[int, int]:
    """Return the number of keys held, and X's mask of modifiers and buttons."""
    from Xlib.display import Display

    connection = Display(display)
    try:
        keys = sum(byte.bit_count() for byte in connection.query_keymap())
        return keys, connection.screen().root.query_pointer().mask
    finally:
        connection.close()


def test_a_display_of_others_is_not_taken(make_desk: Callable[..., Any]) -> None:
    command = ["Xvfb", display := free_display(), "-noreset"]
    with ending(subprocess.Popen(command, stderr=subprocess.DEVNULL)):
        desk = make_desk(display=display)
        desk.wait_for(lambda: server_responds(display), "the server")
        error = desk.post("start", status=503)
        assert error["code"] == "COMPUTER_USE_UNAVAILABLE"
        assert "attach" in error["message"]


def test_a_stale_lock_is_removed(make_desk: Callable[..., Any]) -> None:
    display = free_display()
    lock = Path(f"/tmp/.X{display[1:]}-lock")
    # The pid of a live process that is not an X server.
    lock.write_text(f"{os.getpid():>10}\n")
    try:
        assert make_desk(display=display).post("start")["status"]["xvfb"]["running"]
    finally:
        lock.unlink(missing_ok=True)


def test_ac_82_what_is_missing_is_named(make_desk: Callable[..., Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    desk = make_desk(env={"PATH": str(empty)})
    error = desk.post("start", status=503)
    assert (error["code"], "Xvfb" in error["message"]) == ("COMPUTER_USE_UNAVAILABLE", True)
    for path in ("screenshot", "display/info", "display/windows", "mouse/position"):
        assert desk.get(path, status=503)["code"] == "DISPLAY_UNAVAILABLE"
    assert desk.post("keyboard/type", status=503, text="x")["code"] == "DISPLAY_UNAVAILABLE"
    assert desk.get("status") == {"status": "inactive"}
    assert not any(each["running"] for each in desk.post("stop")["status"].values())
    # It is reported before the first use as well.
    listed = desk.service.http.get("/plugins").json()
    [own] = [each for each in listed["plugins"] if each["name"] == "computeruse"]
    assert own["backends"][0]["missing"] == ["Xvfb", "ffmpeg"]
    assert own["details"]["xfce4"] == "disabled or not installed"


def test_a_window_manager_that_fails_is_told(make_desk: Callable[..., Any]) -> None:
    options = "window_manager = \"sh -c 'echo broken >&2; exit 3'\"\nstart_timeout = 6"
    desk = make_desk(options)
    error = desk.post("start", status=503)
    assert "broken" in error["message"]
    assert desk.get("status") == {"status": "partial"}
    assert "broken" in desk.get("process/xfce4/errors", tail=1)["errors"]
    assert desk.get("process/xfce4/logs") == {"processName": "xfce4", "logs": ""}


def test_a_stop_does_not_wait_for_a_start(make_desk: Callable[..., Any]) -> None:
    desk = make_desk("window_manager = \"sh -c 'echo started; exec sleep 1000'\"")
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(desk.post, "start", status=503)
        desk.wait_for(lambda: desk.get("process/xfce4/logs")["logs"], "the session")
        assert not any(each["running"] for each in desk.post("stop")["status"].values())
        assert "was stopped" in starting.result()["message"]
    assert desk.get("status") == {"status": "inactive"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "status"), ("GET", "logs"), ("GET", "errors"), ("POST", "restart")],
)
def test_unknown_programs(desk: Any, method: str, path: str) -> None:
    response = desk.service.http.request(method, f"/computeruse/process/nope/{path}")
    assert (response.status_code, response.json()["code"]) == (404, "PROCESS_NOT_FOUND")


def test_a_restart_ends_the_old_one_first(desk: Any) -> None:
    before = desk.post("start")["status"]["xfce4"]["pid"]
    answer = desk.post("process/xfce4/restart")
    assert answer["processName"] == "xfce4"
    assert not alive(before)
    assert desk.post("start")["status"]["xfce4"]["pid"] not in (None, before)


def test_ac_45_restarts_leak_no_descriptors(desk: Any) -> None:
    worker = desk.service.workers()[0]

    def count() -> int:
        return len(list(Path(f"/proc/{worker}/fd").iterdir()))

    desk.post("process/xfce4/restart")
    desk.post("start")
    before = count()
    for _ in range(15):
        desk.post("process/xfce4/restart")
    desk.post("start")
    assert count() <= before + 2


def test_ac_47_the_service_ends_with_its_desktop(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    desk.post("start")
    desk.post("keyboard/down", key="a")
    assert desk.service.stop() == 0
    assert not server_responds(desk.display)


def test_what_was_started_last_is_ended_first(
    make_desk: Callable[..., Any], tmp_path: Path
) -> None:
    script, told = tmp_path / "session", tmp_path / "told"
    display = free_display()
    # The server removes its socket when it ends.
    there = f"test -S /tmp/.X11-unix/X{display[1:]} && echo there > {told}"
    script.write_text(f"#!/bin/sh\ntrap '{there}; exit' TERM\nopenbox &\nwhile :; do wait; done\n")
    script.chmod(0o755)
    desk = make_desk(f'window_manager = "{script}"', display=display)
    desk.post("start")
    desk.post("stop")
    assert told.read_text() == "there\n"
    assert not server_responds(display)

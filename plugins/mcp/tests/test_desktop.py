"""The tools of the group ``computeruse``, on a real desktop."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import Service

from .client import McpClient

PROGRAMS = ("Xvfb", "xterm", "openbox")

SETTINGS = """
[computeruse]
display = ":{display}"
state_dir = "{directory}/state"
resolution = "800x600"
vnc = false
window_manager = "openbox"
start_timeout = 45
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[McpClient]:
    """A client of a service with a desktop."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # A range that the tests of the desktop itself don't use.
    display = next(
        n
        for n in range(50_000 + os.getpid() % 1000 * 10, 65_000)
        if not Path(f"/tmp/.X11-unix/X{n}").exists()
    )
    service = Service(
        tmp_path / "service", settings=SETTINGS.format(display=display, directory=tmp_path)
    )
    try:
        yield McpClient(service)
    finally:
        service.stop()


def test_a_desktop_is_seen_and_driven(desk: McpClient, tmp_path: Path) -> None:
    started = desk.service.http.post("/computeruse/start", json={})
    assert started.is_success, started.text
    result = desk.call("screenshot", scale=0.5, format="jpeg")
    (image,) = result["content"]
    assert (image["type"], image["mimeType"]) == ("image", "image/jpeg")
    assert base64.b64decode(image["data"]).startswith(b"\xff\xd8")
    size = result["structuredContent"]
    assert (size["width"], size["height"]) == (400, 300)
    assert desk.text("move_mouse", x=10, y=20) == "the pointer is at 10, 20"
    assert desk.text("click", x=30, y=40) == "the pointer is at 30, 40"
    assert desk.text("drag", startX=1, startY=1, endX=50, endY=60) == "the pointer is at 50, 60"
    desk.text("scroll", x=100, y=100, direction="down", amount=1)
    typed = tmp_path / "typed"
    command = (
        f"xterm -geometry 80x24+0+0 -T typing -e sh -c 'cat > {typed}; mv {typed} {typed}.done'"
    )
    display = desk.service.http.get("/computeruse/display/windows")
    assert display.is_success
    env = {"DISPLAY": settings_of(desk)}
    job = desk.structured("start_command", command=command, env=env)["jobId"]

    def active() -> bool:
        windows = desk.service.http.get("/computeruse/display/windows").json()["windows"]
        return any(each["title"] == "typing" and each["isActive"] for each in windows)

    desk.service.wait_for(active, "the window")
    desk.service.wait_for(typed.exists, "the program in it")
    desk.text("type_text", text="hello\n")
    desk.text("press_key", key="ctrl+d")
    done = desk.structured("get_output", jobId=job, wait=60)
    assert done["done"] is True
    assert Path(f"{typed}.done").read_text() == "hello\n"
    assert "unknown key" in desk.failure("press_key", key="nothing")
    assert "$.direction" in desk.failure("scroll", x=1, y=1, direction="in")


def settings_of(desk: McpClient) -> str:
    """The display of the desktop."""
    text = (desk.service.directory / "toolbox.toml").read_text()
    return text.partition('display = "')[2].partition('"')[0]

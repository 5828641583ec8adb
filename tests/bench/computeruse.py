"""The group computeruse: start, screenshots, typing and accessibility, against bare libraries."""

from __future__ import annotations

import functools
import io
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.clients import TOKEN
from bench.frame import Bench
from bench.frame import Row
from bench.frame import Sample
from bench.frame import timed
from bench.servers import toolbox

FORM = Path(__file__).parents[2] / "plugins" / "computeruse" / "tests" / "form.py"
SHOTS = 20
"""Screenshots of one measurement."""
CHARACTERS = 2000
LABELS = 300
DEADLINE = 60.0


class Desktop:
    """A service with a display of its own, whose desktop doesn't run yet."""

    def __init__(self, port: int, display: str) -> None:
        self.display = display
        self._connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What it answers."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        content = json.dumps(body) if method == "POST" else None
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return answer

    def run(self, *command: str) -> None:
        """Start a program on the desktop, from a command of the sandbox."""
        line = f"nohup {shlex.join(command)} >/dev/null 2>&1 &"
        self.ask("POST", "/process/execute", command=line)

    def wait_for_window(self, title: str) -> None:
        """Wait until it is there and active."""
        for _ in patience():
            windows = self.ask("GET", "/computeruse/display/windows")["windows"]
            if any(each["title"] == title and each["isActive"] for each in windows):
                return


def patience() -> Iterator[None]:
    """Turns of a loop that waits."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        yield
        time.sleep(0.001)
    raise TimeoutError


@contextmanager
def desktop(bench: Bench, resolution: str = "1280x800") -> Iterator[Desktop]:
    """A service and its desktop."""
    number = next(
        n
        for n in range(50000 + os.getpid() % 5000, 59000)
        if not Path(f"/tmp/.X11-unix/X{n}").exists()
    )
    settings = f"""
        [computeruse]
        display = ":{number}"
        resolution = "{resolution}"
        window_manager = "openbox"
        vnc = false
        state_dir = "{bench.directory}"
    """
    env = {"LANG": "C.UTF-8", "DBUS_SESSION_BUS_ADDRESS": ""}
    with toolbox(settings, env) as server:
        yield Desktop(server.port, f":{number}")


def bench_start(bench: Bench) -> Iterator[Row]:
    """From the request to a desktop that takes input, against its X server alone."""

    def start() -> float:
        seconds = timed(lambda: ours.ask("POST", "/computeruse/start"))
        ours.ask("POST", "/computeruse/stop")
        return seconds

    def xvfb() -> float:
        from Xlib.display import Display
        from Xlib.error import DisplayConnectionError

        began = time.perf_counter()
        command = ["Xvfb", ours.display, "-screen", "0", "1280x800x24"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            for _ in patience():
                try:
                    Display(ours.display).close()
                    break
                except DisplayConnectionError:
                    continue
            seconds = time.perf_counter() - began
            process.terminate()
        return seconds

    with desktop(bench) as ours:
        yield Row(
            "desktop, start to ready",
            unit="s",
            ours=start,
            limit=("Xvfb alone", xvfb),
            floor="<= 3",
            stretch="<= 1.5",
        )


def bench_screenshot(bench: Bench) -> Iterator[Row]:
    """PNG of a desktop with two terminals full of text, against capture and encoding alone."""
    for resolution in ("1280x800", "1920x1080"):
        with desktop(bench, resolution) as ours:
            ours.ask("POST", "/computeruse/start")
            for title in ("one", "two"):
                script = f"printf '\\033]0;{title}\\007'; seq -s ' ' 3000; exec sleep 1000"
                ours.run("xterm", "-geometry", "100x40", "-e", "sh", "-c", script)
                ours.wait_for_window(title)
            take = functools.partial(ours.ask, "GET", "/computeruse/screenshot")
            yield Row(
                f"screenshot as PNG, {resolution}",
                unit="ms",
                ours=functools.partial(repeated, take),
                limit=("python-xlib, Pillow", functools.partial(repeated, capture(ours.display))),
                floor="<= 1.5x",
                stretch="<= 1.15x",
            )


def repeated(action: Callable[[], object]) -> Sample:
    """Milliseconds: the median, and the 95th percentile."""
    action()
    times = sorted(timed(action) * 1e3 for _ in range(SHOTS))
    return Sample(statistics.median(times), {"p95": times[SHOTS * 95 // 100 - 1]})


def capture(display: str) -> Callable[[], object]:
    """A function that captures the screen and encodes it, and no more."""
    from PIL import Image
    from Xlib import X
    from Xlib.display import Display

    root = Display(display).screen().root
    size = root.get_geometry()

    def once() -> None:
        data = root.get_image(0, 0, size.width, size.height, X.ZPixmap, 0xFFFFFFFF).data
        image = Image.frombuffer("RGB", (size.width, size.height), data, "raw", "BGRX", 0, 1)
        image.save(io.BytesIO(), "png", compress_level=1)

    return once


def bench_typing(bench: Bench) -> Iterator[Row]:
    """Characters into a terminal, until its program has read them all."""
    picked = random.Random(1)
    text = "".join(picked.choices(list(map(chr, range(33, 127))), k=CHARACTERS))
    file = bench.directory / "typed"

    def rate(send: Callable[[str], object]) -> float:
        before = file.stat().st_size
        began = time.perf_counter()
        send(text)
        for _ in patience():
            if file.stat().st_size >= before + CHARACTERS:
                break
        seconds = time.perf_counter() - began
        assert file.read_text()[before:] == text, "the text has not arrived exactly"
        return CHARACTERS / seconds

    with desktop(bench) as ours:
        ours.ask("POST", "/computeruse/start")
        script = f"printf '\\033]0;typing\\007'; stty raw -echo; exec cat > {file}"
        ours.run("xterm", "-e", "sh", "-c", script)
        ours.wait_for_window("typing")
        yield Row(
            f"type {CHARACTERS} ASCII characters into xterm",
            unit="/s",
            ours=lambda: rate(lambda t: ours.ask("POST", "/computeruse/keyboard/type", text=t)),
            limit=("python-xlib", lambda: rate(typist(ours.display))),
            floor=">= 5000",
            stretch=">= 7500",
        )


def typist(display: str) -> Callable[[str], object]:
    """A function that presses the keys of a text by XTEST, and no more."""
    from Xlib import X
    from Xlib.display import Display

    connection = Display(display)
    shift = connection.keysym_to_keycode(0xFFE1)

    def press(text: str) -> None:
        for char in text:
            code, index = min(connection.keysym_to_keycodes(ord(char)), key=lambda each: each[1])
            if index:
                connection.xtest_fake_input(X.KeyPress, shift)
            connection.xtest_fake_input(X.KeyPress, code)
            connection.xtest_fake_input(X.KeyRelease, code)
            if index:
                connection.xtest_fake_input(X.KeyRelease, shift)
        connection.sync()
        connection.close()

    return press


def bench_accessibility(bench: Bench) -> Iterator[Row]:
    """The tree of a GTK program, against the same calls made one after another."""
    with desktop(bench) as ours:
        ours.ask("POST", "/computeruse/start")
        ours.run(sys.executable, str(FORM), str(bench.directory / "form"), str(LABELS))
        for _ in patience():
            wanted = {"scope": "all", "name": f"label {LABELS - 1}"}
            if ours.ask("POST", "/computeruse/a11y/find", **wanted)["matches"]:
                break
        command = "printf %s $DBUS_SESSION_BUS_ADDRESS"
        session = ours.ask("POST", "/process/execute", command=command)["result"]
        path = "/computeruse/a11y/tree?scope=all"
        yield Row(
            f"accessibility tree of {LABELS} labels",
            unit="ms",
            ours=lambda: timed(lambda: ours.ask("GET", path)) * 1e3,
            limit=("jeepney, call by call", lambda: timed(lambda: read_tree(session)) * 1e3),
            floor="<= 1x",
        )


def read_tree(session: str) -> None:
    """Read what the service reads of each node, one call at a time."""
    from jeepney import DBusAddress
    from jeepney import new_method_call
    from jeepney.io.blocking import open_dbus_connection

    space = "org.a11y.atspi"
    with open_dbus_connection(session) as bus:
        launcher = DBusAddress("/org/a11y/bus", "org.a11y.Bus", "org.a11y.Bus")
        address = bus.send_and_get_reply(new_method_call(launcher, "GetAddress")).body[0]
    with open_dbus_connection(address) as bus:

        def call(node: tuple[str, str], interface: str, method: str, *arguments: Any) -> Any:
            name, path = node
            message = new_method_call(DBusAddress(path, name, interface), method, *arguments)
            return bus.send_and_get_reply(message).body[0]

        nodes = [(f"{space}.Registry", "/org/a11y/atspi/accessible/root")]
        for node in nodes:
            for method in ("GetRoleName", "GetState"):
                call(node, f"{space}.Accessible", method)
            for each in ("Name", "Description"):
                asked = ("ss", (f"{space}.Accessible", each))
                call(node, "org.freedesktop.DBus.Properties", "Get", *asked)
            if f"{space}.Component" in call(node, f"{space}.Accessible", "GetInterfaces"):
                call(node, f"{space}.Component", "GetExtents", "u", (0,))
            nodes += call(node, f"{space}.Accessible", "GetChildren")
        assert len(nodes) > LABELS

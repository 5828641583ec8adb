"""A real browser, driven by the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket

from toolbox.testing import Service
from toolbox.testing import end_tree

CHROMIUM = shutil.which("chromium")
DEADLINE = 90.0

# With characters that subprotocols don't have, and one that looks as if it were escaped.
SECRET = 'a/b=c+(d)%41"e,f'

# Without the group process the page has no terminal.
collect_ignore = [] if importlib.util.find_spec("toolbox_process") else ["test_terminal.py"]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,800",
    "--remote-debugging-port=0",
)


class Browser:
    """Chromium with one page. ``console`` has what the page and the browser complained of."""

    def __init__(self, directory: Path) -> None:
        profile = directory / "profile"
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with (directory / "browser.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "HOME": str(directory)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.console: list[str] = []
        self._numbers = itertools.count(1)
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + DEADLINE
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        port = port_file.read_text().split("\n")[0]
        targets = httpx.get(f"http://127.0.0.1:{port}/json", timeout=DEADLINE).json()
        url = next(each for each in targets if each["type"] == "page")["webSocketDebuggerUrl"]
        self._socket = websocket.create_connection(url, DEADLINE, suppress_origin=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call the browser; what it answers."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        parameters = told.get("params", {})
        match told["method"]:
            case "Log.entryAdded":
                self.console.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.console.append(json.dumps(parameters["args"]))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until the value of an expression is true; that value. What it looks at may not be
        there at first.
        """
        deadline = time.monotonic() + DEADLINE
        careful = f"(() => {{ try {{ return {expression} }} catch {{ return null }} }})()"
        while not (value := self.evaluate(careful)):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"never: {expression}\n{self.console}\n{text}")
            time.sleep(0.05)
        return value

    def open(self, url: str) -> None:
        """Go to a page, from a clean start."""
        self.call("Page.navigate", url="about:blank")
        self.wait_for("location.href === 'about:blank'")
        self.console.clear()
        self.call("Page.navigate", url=url)
        self.wait_for(
            f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'"
        )

    def log_in(self, url: str, token: str = SECRET) -> None:
        """Go to the page and give it the token."""
        self.open(url)
        self.wait_for("!document.getElementById('login').hidden")
        self.type(token)
        self.enter()

    def complaints(self) -> list[str]:
        """What the browser complained of, but for the answers that ask for the token."""
        return [each for each in self.console if "401" not in each]

    def type(self, text: str) -> None:
        """Insert text where the focus is, as an input method does."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int, **more: Any) -> None:
        """Press a key and let it go."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, **more}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def enter(self) -> None:
        """Press Enter."""
        self.press("Enter", 13, text="\r")

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def screenshot(self, file: Path) -> None:
        """Write what is to be seen as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End it."""
        self._socket.close()
        end_tree(self.process)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    running = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an awkward token, below a prefix, which counts where it can."""
    settings = '[server]\npath_prefix = "/box"\n'
    if importlib.util.find_spec("toolbox_metrics"):
        settings += "[metrics]\nenabled = true\n"
    running = Service(tmp_path_factory.mktemp("box"), settings=settings, token=SECRET)
    yield running
    running.stop()

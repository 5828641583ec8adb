"""A real browser, driven by the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket

from toolbox.testing import Service
from toolbox.testing import end_tree

CHROMIUM = shutil.which("chromium")
DEADLINE = 90.0

# With characters that subprotocols can't have, and one that looks like an escape.
SECRET = 'a/b=c+(d)%41"e,f'

CONTROL, SHIFT = 2, 8
"""Modifier keys in the protocol."""

BRIGHTNESS = """(selector, kind) => {
  let it = document.querySelector(selector);
  const style = () => getComputedStyle(it);
  const of = (color) => color.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + b / 3, 0);
  if (kind === 'text') return of(style().color);
  while (style().backgroundColor.endsWith(', 0)')) it = it.parentNode;
  return of(style().backgroundColor);
}"""
"""The brightness of an element's text or opaque background, from 0 to 255."""

FAR = "far.test"
"""A name of this machine that the browser treats as another one, which it trusts less."""

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
    f"--host-resolver-rules=MAP {FAR} 127.0.0.1",
)


class Browser:
    """Chromium with one page. ``console`` has the errors and warnings of page and browser."""

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
        self._chooser: int | None = None
        self._numbers = itertools.count(1)
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + DEADLINE
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        port = port_file.read_text().split("\n")[0]
        targets = httpx.get(f"http://127.0.0.1:{port}/json", timeout=DEADLINE).json()
        url = next(target for target in targets if target["type"] == "page")["webSocketDebuggerUrl"]
        self._socket = websocket.create_connection(url, DEADLINE, suppress_origin=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the browser; return its result."""
        message = self._ask(method, **parameters)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the browser; return its response, which may be an error."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv())
            if message.get("id") == number:
                return message
            self._record(message)

    def _record(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event["method"]:
            case "Log.entryAdded":
                self.console.append(parameters["entry"]["text"])
            case "Page.fileChooserOpened":
                self._chooser = parameters["backendNodeId"]
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.console.append(json.dumps(parameters["args"]))

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until the value of an expression is true; return it, or True for an element. Its
        elements may not exist at first, and the page may be loaded meanwhile.
        """
        deadline = time.monotonic() + DEADLINE
        # An element has no value outside the page, where it would be {}, which is false.
        careful = (
            f"(async () => {{ try {{ const it = await ({expression});"
            " return it instanceof Node || it } catch { return null } })()"
        )
        while True:
            message = self._ask(
                "Runtime.evaluate", expression=careful, returnByValue=True, awaitPromise=True
            )
            # An error is a page that was left before the expression had its value.
            result = message.get("result", {})
            assert "exceptionDetails" not in result, result
            if value := result.get("result", {}).get("value"):
                return value
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"never: {expression}\n{self.console}\n{text}")
            time.sleep(0.05)

    def open(self, url: str) -> None:
        """Load a page, from a clean state."""
        self.call("Page.navigate", url="about:blank")
        self.wait_for("location.href === 'about:blank'")
        self.console.clear()
        self.call("Page.navigate", url=url)
        self.wait_for(
            f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'"
        )

    def log_in(self, url: str, token: str = SECRET) -> None:
        """Load the page and enter the token."""
        self.open(url)
        self.wait_for("!document.getElementById('login').hidden")
        self.type(token)
        self.enter()

    def complaints(self) -> list[str]:
        """Return the errors and warnings, except for the responses that require the token."""
        return [text for text in self.console if "401" not in text]

    def type(self, text: str) -> None:
        """Insert text at the focus, as an input method does."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int, more: Mapping[str, Any]) -> None:
        """Press and release a key. ``more`` are other parameters of the protocol."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, **more}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common)
        common.pop("commands", None)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def press_with_control(self, letter: str, *commands: str, shift: bool = False) -> None:
        """Press Ctrl and a letter. ``commands`` is what an editor does on it by default, as in
        ``paste``: a browser without a window has no keymap for that.
        """
        upper = letter.upper()
        modifiers = CONTROL | (SHIFT if shift else 0)
        more = {"code": f"Key{upper}", "modifiers": modifiers, "commands": commands}
        self.press(upper if shift else letter, ord(upper), more)

    def enter(self) -> None:
        """Press Enter."""
        self.press("Enter", 13, {"text": "\r"})

    def click(self, selector: str) -> None:
        """Click on the middle of an element, even if another one covers it."""
        self.click_at(f"document.querySelector({json.dumps(selector)})")

    def click_at(self, element: str) -> None:
        """Click on the element or range of text that a JavaScript expression returns."""
        self._press(self.hover_at(element), 1)

    def double_click_at(self, element: str) -> None:
        """Click twice, which selects a word."""
        at = self.hover_at(element)
        self._press(at, 1)
        self._press(at, 2)

    def hover_at(self, element: str) -> tuple[float, float]:
        """Move the mouse onto the middle of an element or range; return that position."""
        x, y = self.evaluate(
            f"(() => {{ const it = {element}; it.scrollIntoView?.({{ block: 'center' }});"
            " const box = it.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        return x, y

    def _press(self, at: tuple[float, float], count: int) -> None:
        where = {"x": at[0], "y": at[1], "button": "left", "clickCount": count}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **where)

    def choose(self, selector: str, *files: Path) -> None:
        """Click on a button that asks for files, and choose some."""
        self.call("Page.setInterceptFileChooserDialog", enabled=True)
        self._chooser = None
        self.click(selector)
        deadline = time.monotonic() + DEADLINE
        while self._chooser is None and time.monotonic() < deadline:
            self.evaluate("1")  # Events are read while a response is awaited.
        self.call(
            "DOM.setFileInputFiles",
            files=[str(file) for file in files],
            backendNodeId=self._chooser,
        )

    def drop(self, selector: str, *files: Path) -> None:
        """Drag files and directories from outside onto an element."""
        x, y = self.hover_at(f"document.querySelector({json.dumps(selector)})")
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def save_downloads(self, directory: Path) -> None:
        """Have the browser save what a page downloads, without asking."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(directory))

    def grant_clipboard(self) -> None:
        """Let a page read and write the clipboard without asking."""
        self.call(
            "Browser.grantPermissions",
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )

    def wait_for_page(self, url: str) -> bool:
        """Wait until another page with ``url`` was opened, and close it."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            for target in self.call("Target.getTargets")["targetInfos"]:
                if target["type"] == "page" and target["url"] == url:
                    self.call("Target.closeTarget", targetId=target["targetId"])
                    return True
            time.sleep(0.05)
        return False

    def show(self, part: str) -> None:
        """Click on the tab of a part of the page: ``status``, ``terminal`` or ``reference``."""
        self.click(f'nav a[href="#{part}"]')

    def prefer(self, scheme: str) -> None:
        """Prefer ``light`` or ``dark`` colors."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def wait_for_colors(self, selector: str, *, dark: bool) -> None:
        """Wait until an element is bright on dark, or dark on bright: colors may fade."""
        self.evaluate(f"window.brightness = {BRIGHTNESS}")
        below, above = ("ground", "text") if dark else ("text", "ground")
        place = json.dumps(selector)
        self.wait_for(
            f"brightness({place}, '{below}') < 110 && brightness({place}, '{above}') > 170"
        )

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def screenshot(self, file: Path) -> None:
        """Write a PNG of the visible part."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Terminate the browser."""
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
    """A service with an awkward token, below a prefix, with metrics."""
    settings = '[server]\npath_prefix = "/box"\n[metrics]\nenabled = true\n'
    running = Service(tmp_path_factory.mktemp("box"), settings=settings, token=SECRET)
    yield running
    running.stop()

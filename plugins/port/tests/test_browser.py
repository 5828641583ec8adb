"""Applications in a real browser, through the proxy."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import shutil
import socket
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service
from toolbox.testing import ending

CHROMIUM = shutil.which("chromium")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian package chromium)"
)

# A browser that just opens a page sends no token; the proxy in front of a sandbox adds it.
OPEN = '[auth]\nmode = "none"\n[log]\naccess = true\n'

VITE = "vite@8.3.8"
MAIN = """
import { word } from './word.js';
const tell = (told) => fetch('http://127.0.0.1:%d/result', { method: 'POST', body: told });
if (import.meta.hot) import.meta.hot.accept('./word.js', (changed) => tell(changed.word));
tell(word);
"""


@contextlib.contextmanager
def browser(url: str, directory: Path) -> Iterator[None]:
    """Run a browser that has opened ``url``."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",  # Without it the browser would be done at once.
        f"--user-data-dir={directory}/profile",
        url,
    ]
    env = {**os.environ, "HOME": str(directory)}
    with (directory / "browser.log").open("wb") as log:
        running = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    with ending(running):
        yield


@needs_chromium
def test_a_page_with_a_websocket_works_in_a_browser(
    make_service: Callable[..., Service], app: Any, tmp_path: Path
) -> None:
    service = make_service(settings=OPEN, token=None)
    with browser(f"{service.url}/proxy/{app.port}/page", tmp_path):
        assert app.results.get(timeout=90) == "closed|1000|true|hello|module é\U0001f600"
    targets = [request["target"] for request in app.requests]
    assert targets[0] == "/page"
    assert {"/module.js", "/ws"} <= set(targets)


@needs_chromium
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_development_server_reloads_modules_through_the_proxy(
    make_service: Callable[..., Service], app: Any, tmp_path: Path
) -> None:
    (tmp_path / "package.json").write_text("{}")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", VITE]
    subprocess.run(install, cwd=tmp_path, check=True, timeout=240)
    (tmp_path / "index.html").write_text("<script type=module src=/main.js></script>")
    (tmp_path / "main.js").write_text(MAIN % app.port)
    (tmp_path / "word.js").write_text("export const word = 'first';")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    service = make_service(settings=OPEN, token=None)
    vite: list[str | Path] = [tmp_path / "node_modules" / ".bin" / "vite", "--strictPort"]
    vite += ["--host", "127.0.0.1", "--port", str(port), "--base", f"/x/absproxy/{port}/"]
    server = subprocess.Popen(vite, cwd=tmp_path, stdout=subprocess.DEVNULL)
    with ending(server):
        service.http.get(f"/x/ports/{port}/wait").raise_for_status()
        with browser(f"{service.url}/x/absproxy/{port}/", tmp_path):
            assert app.results.get(timeout=90) == "first"
            # Repeated until it is noticed: the page may not listen for changes yet.
            for number in itertools.count():
                (tmp_path / "word.js").write_text(f"export const word = 'changed {number}';")
                with contextlib.suppress(queue.Empty):
                    assert app.results.get(timeout=2).startswith("changed")
                    break
                assert number < 45
        # Not past the proxy, as the client of Vite does when it can't get through.
        line = f"WEBSOCKET '/x/absproxy/{port}/'"
        service.wait_for(lambda: line in service.log(), "the end of the WebSocket")

"""A page with a module and a WebSocket, in a real browser, through the proxy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_page_with_a_websocket_works_in_a_browser(
    make_service: Callable[..., Service], app: Any, tmp_path: Path
) -> None:
    # A browser that just opens a page sends no token; the proxy in front of a sandbox adds it.
    service = make_service(settings='[auth]\nmode = "none"', token=None)
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",  # Without it the browser would be done at once.
        f"--user-data-dir={tmp_path}/profile",
        f"{service.url}/proxy/{app.port}/page",
    ]
    env = {**os.environ, "HOME": str(tmp_path)}
    with (tmp_path / "browser.log").open("wb") as log:
        browser = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        assert app.results.get(timeout=90) == "closed|1000|true|hello|module é\U0001f600"
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    targets = [request["target"] for request in app.requests]
    assert targets[0] == "/page"
    assert {"/module.js", "/ws"} <= set(targets)

"""A plugin without a group: the hooks of the application and of the service's life."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from flask import Flask

from toolbox import hookimpl
from toolbox.lifecycle import Toolbox
from toolbox.processes import popen


@hookimpl
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    """Answer one path before Flask is asked."""
    inner = app.wsgi_app

    def wrapped(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/teapot":
            start_response("418 I'm a teapot", [("Content-Length", "0")])
            return []
        return inner(environ, start_response)

    app.wsgi_app = wrapped  # type: ignore[method-assign]


@hookimpl
def toolbox_startup(toolbox: Toolbox) -> None:
    """Start two programs, one of which gets away from its parent; wait for a file."""
    directory = Path(os.environ["LIFECYCLE_DIR"])
    script = "sleep 1000 & setsid sleep 1001 & echo $! > daemon; exec sleep 1002"
    popen(["sh", "-c", script], cwd=directory, stdin=subprocess.DEVNULL)
    while not (directory / "go").exists():
        time.sleep(0.01)
    if (directory / "go").read_text() == "fail":
        raise RuntimeError("told to fail")


@hookimpl
def toolbox_shutdown(toolbox: Toolbox) -> None:
    """Leave a trace."""
    Path(os.environ["LIFECYCLE_DIR"], "stopped").write_text("yes")

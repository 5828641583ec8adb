from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from toolbox.processes import descendants
from toolbox.testing import Service


def test_the_program_after_the_dashes_is_the_entrypoint_session(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(
        "--", "sh", "-c", 'echo "with blanks: $1"; exec sleep 1000', "sh", "a  b"
    )
    path = "/process/session/entrypoint/logs"
    service.wait_for(lambda: "with blanks: a  b" in service.http.get(path).text, "its output")
    session = service.http.get("/process/session/entrypoint").json()
    assert session["sessionId"] == "entrypoint"
    assert "exitCode" not in session["commands"][0]


def test_the_end_of_the_service_is_told_to_the_program(
    make_service: Callable[..., Service],
) -> None:
    # AC-47
    script = "trap 'echo told > told; exit' TERM; touch ready; while :; do sleep 0.1; done"
    service = make_service("--", "sh", "-c", script)
    service.wait_for(lambda: Path(service.work_dir, "ready").exists(), "the program")
    below = descendants(service.process.pid)
    assert service.stop() == 0
    assert Path(service.work_dir, "told").read_text() == "told\n"
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


def test_only_serve_takes_a_program() -> None:
    command = [sys.executable, "-m", "toolbox", "plugins", "--", "true"]
    environ = {**os.environ, "TOOLBOX_CONFIG": os.devnull}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "only serve accepts a program after --" in result.stderr

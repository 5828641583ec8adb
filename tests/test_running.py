"""What starts the service on a machine of its own: systemd, s6 and supervisord."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import ending

CONF = Path(__file__).parent.parent / "conf"
TOOLBOX = str(Path(sys.executable).with_name("toolbox"))


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


def setting(tmp_path: Path, **env: str) -> dict[str, str]:
    """The environment of a service of the test's own."""
    port = {"TOOLBOX__SERVER__PORT": "0", "TOOLBOX__SERVER__PORT_FILE": str(tmp_path / "port")}
    return {**os.environ, "TOOLBOX_TOKEN": "t", "TOOLBOX_CONFIG": os.devnull, **port, **env}


def is_ready(tmp_path: Path) -> bool:
    try:
        port = int((tmp_path / "port").read_text())
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=DEADLINE).status_code == 200
    except (FileNotFoundError, httpx.TransportError):
        return False


@contextmanager
def running(command: list[str], env: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that is told to end, and does."""
    with (cwd / "output").open("w") as output:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, text=True
        )
    with ending(process):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE)


def unit() -> configparser.ConfigParser:
    # An option may stand there several times.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(CONF / "systemd" / "toolbox.service")
    return parser


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (package systemd)"
)
def test_the_unit_is_without_fault(tmp_path: Path) -> None:
    file = tmp_path / "toolbox.service"
    file.write_text(unit_text().replace("/opt/toolbox/bin/toolbox", TOOLBOX))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def unit_text() -> str:
    return (CONF / "systemd" / "toolbox.service").read_text()


def test_the_unit_s_command_tells_systemd_that_it_has_started(tmp_path: Path) -> None:
    service = unit()["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    (tmp_path / "token").write_text("from-the-file\n")
    command = service["ExecStart"].replace("/opt/toolbox/bin/toolbox", TOOLBOX)
    command = command.replace("${CREDENTIALS_DIRECTORY}", str(tmp_path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.settimeout(DEADLINE)
        notified.bind(str(tmp_path / "notify"))
        env = setting(tmp_path, TOOLBOX_TOKEN="", NOTIFY_SOCKET=str(tmp_path / "notify"))
        with running(command.split(), env, tmp_path) as process:
            assert b"READY=1" in notified.recv(4096)
            until(lambda: is_ready(tmp_path), "readiness")
            port = (tmp_path / "port").read_text().strip()
            headers = {"Authorization": "Bearer from-the-file"}
            answer = httpx.get(
                f"http://127.0.0.1:{port}/plugins", headers=headers, timeout=DEADLINE
            )
            assert answer.status_code == 200
        assert process.returncode == 0


@pytest.mark.skipif(shutil.which("s6-svscan") is None, reason="needs s6-svscan (package s6)")
def test_s6_runs_it_again_and_turns_its_log_over(tmp_path: Path) -> None:
    # AC-26
    directory = tmp_path / "services" / "toolbox"
    shutil.copytree(CONF / "s6" / "toolbox", directory)
    run = directory / "run"
    run.write_text(run.read_text().replace("/opt/toolbox/bin/toolbox", TOOLBOX))
    logger = directory / "log" / "run"
    logger.write_text(logger.read_text().replace("s1000000", "s4096"))  # The least s6-log takes.
    env = setting(tmp_path, TOOLBOX_LOGS=str(tmp_path / "logs"), TOOLBOX__LOG__ACCESS="true")
    with running(["s6-svscan", str(directory.parent)], env, tmp_path):
        until(lambda: is_ready(tmp_path), "readiness")
        (tmp_path / "port").unlink()
        subprocess.run(["s6-svc", "-r", str(directory)], check=True)
        until(lambda: is_ready(tmp_path), "the next one")
        for _ in range(120):
            assert is_ready(tmp_path)
        until(lambda: list((tmp_path / "logs").glob("@*.s")), "a file that was turned over")
        subprocess.run(["s6-svc", "-wd", "-T", "60000", "-d", str(directory)], check=True)
    current = (tmp_path / "logs" / "current").read_text()
    assert "toolbox: stopped" in current
    assert all(file.stat().st_size < 5000 for file in (tmp_path / "logs").iterdir())


def test_supervisord_runs_it_and_turns_its_log_over(tmp_path: Path) -> None:
    # AC-26
    text = (CONF / "supervisor" / "toolbox.conf").read_text()
    replaced = {
        "/opt/toolbox/bin/toolbox": TOOLBOX,
        "user=sandbox\n": "",
        "/home/sandbox": str(tmp_path),
        "/var/log/toolbox.log": str(tmp_path / "toolbox.log"),
        "10MB": "4KB",
    }
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "supervisord.conf"
    file.write_text(f"[supervisord]\nnodaemon=true\nlogfile={os.devnull}\n{text}")
    env = setting(tmp_path, TOOLBOX__LOG__ACCESS="true")
    command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(file)]
    with running(command, env, tmp_path) as process:
        until(lambda: is_ready(tmp_path), "readiness")
        for _ in range(120):
            assert is_ready(tmp_path)
        until(lambda: (tmp_path / "toolbox.log.1").exists(), "a file that was turned over")
    assert process.returncode == 0
    assert "toolbox: stopped" in (tmp_path / "toolbox.log").read_text()

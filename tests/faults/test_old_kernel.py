"""Kernels and sandboxes that lack system calls: old ones, gVisor, strict seccomp profiles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import Service

ROOT = Path(__file__).parents[2]
PROCESS = ROOT / "plugins" / "process" / "tests"
WITHOUT = [sys.executable, str(Path(__file__).with_name("without_syscalls.py"))]

CHOSEN = [
    "test_tree.py",
    "test_escape.py",
    "test_execute.py::test_interleaves_both_streams",
    "test_execute.py::test_a_timeout_leaves_nothing",
    "test_execute.py::test_a_background_process_delays_nothing_and_lives",
    "test_execute.py::test_output_before_the_exit_code",
    "test_execute.py::test_long_commands",  # F-C14, as the next: files without a name
    "test_code_run.py::test_javascript",
    "test_code_run.py::test_text_beside_charts_is_left_alone",
    "test_session.py::test_keeps_the_shells_state",
    "test_session.py::test_input",
    "test_session.py::test_delete_ends_everything",
    "test_session_commands.py::test_signals_reach_a_command",
    "test_pty.py::test_exit_codes",
    "test_pty.py::test_delete_ends_disowned_processes",
    "test_interpreter.py::test_timeout",
    "test_interpreter.py::test_keeps_state",
    "test_interpreter.py::test_delete_ends_what_runs",
    "test_jobs.py::test_a_job_from_start_to_end",
    "test_jobs.py::test_standard_input",
    "test_jobs.py::test_signals",
    "test_jobs.py::test_end_reasons",
]
"""Tests of all there is to start, and above all of ending it."""

REFUSE = ["--errno=EPERM", "--only=pidfd_open,pidfd_send_signal"]


def test_the_filter_filters() -> None:
    """Or the next tests would prove nothing."""
    code = (
        "import os, errno\n"
        "for call in (lambda: os.pidfd_open(os.getpid()), lambda: os.memfd_create('x')):\n"
        "    try: call()\n"
        "    except OSError as error: assert error.errno == errno.ENOSYS, error\n"
        "    else: raise SystemExit('it is there')\n"
    )
    subprocess.run([*WITHOUT, sys.executable, "-c", code], check=True, timeout=DEADLINE)


def test_processes_without_new_system_calls() -> None:
    """F-B10, AC-15: no pidfd, no memfd, no inotify, no close_range, no openat2, no io_uring."""
    check([str(PROCESS / chosen) for chosen in CHOSEN])


def test_processes_with_a_profile_that_refuses() -> None:
    """F-B10: older container runtimes answer EPERM to calls they don't know."""
    for options in (REFUSE, ["--only=pidfd_send_signal"]):
        check([str(PROCESS / "test_tree.py")], *options)


@pytest.mark.parametrize("options", [[], REFUSE])
def test_sandboxes_without_pidfds(options: list[str]) -> None:
    lifecycle = ROOT / "plugins/fleet/tests/local/test_lifecycle.py"
    names = ("resists and true", "a_sandbox_that_dies")
    check([str(lifecycle), "-k", " or ".join(names)], *options)


@pytest.mark.parametrize("options", [[], REFUSE])
def test_desktops_without_pidfds(options: list[str]) -> None:
    desktop = ROOT / "plugins/computeruse/tests/test_desktop.py"
    names = ("start_and_stop_twice", "killed_comes_back", "restart_ends_the_old_one")
    check([str(desktop), "-k", " or ".join(names)], *options)


def check(chosen: list[str], *options: str) -> None:
    """Run the tests ``chosen`` without these system calls: all of them or, by ``options``, some."""
    command = [*WITHOUT, *options, sys.executable, "-m", "pytest", "-q", "-x"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *chosen],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]


def test_every_group_starts(make_service: Callable[..., Service], tmp_path: Path) -> None:
    """F-B10: what needs such a call says so, and ends nothing else."""
    service = make_service(wrapper=WITHOUT)
    http = service.http
    assert http.get("/readyz").status_code == 200
    (service.work_dir / "f").write_text("text\n")
    assert http.get("/files/download", params={"path": "f"}).text == "text\n"
    answer = http.post("/files/upload-v2", params={"path": "g"}, content=b"new")
    assert answer.is_success, answer.text
    assert (service.work_dir / "g").read_bytes() == b"new"
    http.post("/git/init", json={"path": "r"}).raise_for_status()
    assert http.get("/git/status", params={"path": "r"}).is_success
    assert http.get("/port").is_success
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_service_without_new_system_calls_ends(
    make_service: Callable[..., Service], signal: str
) -> None:
    """F-B10: with all it has started."""
    service = make_service(wrapper=WITHOUT)
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    body = {"command": "env -i setsid -f sleep 1000; sleep 1000", "runAsync": True}
    service.http.post("/process/session/s/exec", json=body).raise_for_status()
    if signal == "KILL":
        (worker,) = service.workers()
        os.kill(worker, 9)
    assert service.stop() == 0

"""What the fixtures start they end, whatever a test has made of it."""

from __future__ import annotations

import ast
import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import toolbox.testing
from toolbox.linux.procfs import descendants
from toolbox.linux.procfs import is_alive
from toolbox.testing import DEADLINE
from toolbox.testing import end_tree
from toolbox.testing import ending

ROOT = Path(__file__).parent.parent

STUCK = """
import os, signal
import toolbox.testing

def test_one_is_stuck(make_service):
    services = [make_service(), make_service(), make_service()]
    print("pids", *(pid for each in services for pid in (each.process.pid, *each.workers())))
    os.kill(services[1].process.pid, signal.SIGSTOP)
    toolbox.testing.DEADLINE = 2.0
"""


HANGS = """
import threading

def test_one_hangs(make_service):
    service = make_service()
    service.http.post("/x/jobs", json={"command": "setsid sleep 1000"}).raise_for_status()
    print("pids", service.process.pid, *service.workers(), flush=True)
    threading.Event().wait()
"""


def gone(pid: int) -> bool:
    """Whether it has ended; it may be a zombie that nobody reaps."""
    deadline = time.monotonic() + DEADLINE
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def test_a_process_is_ended_with_those_that_hold_its_pipe() -> None:
    """F-D9: a child in another session, which ignores what can be ignored."""
    child = "trap '' TERM HUP INT; echo $$; while :; do sleep 1000; done"
    command = ["sh", "-c", 'setsid sh -c "$1" & wait', "sh", child]
    began = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with ending(began) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
    assert process.returncode < 0
    assert process.stdout.closed
    assert gone(pid)


def test_services_are_ended_beside_one_that_can_t_be_stopped(tmp_path: Path) -> None:
    """F-D9: it is a failure, and neither it nor another is left."""
    (tmp_path / "test_stuck.py").write_text(STUCK)
    options = ["-p", "toolbox.testing", "-p", "no:cacheprovider", "-q", "-s"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_stuck.py"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    (line,) = [line for line in done.stdout.splitlines() if "pids" in line]
    pids = [int(pid) for pid in line.split("pids")[1].split()]
    assert len(pids) == 6
    assert "1 passed, 1 error" in done.stdout
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize(("number", "stuck"), [(signal.SIGTERM, False), (signal.SIGKILL, True)])
def test_services_end_with_a_runner_that_is_killed(
    tmp_path: Path, number: int, stuck: bool
) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    options = ["-p", "toolbox.testing", "-p", "no:cacheprovider", "-q", "-s"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    runner = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, "test_hangs.py"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ending(runner):
        assert runner.stdout is not None
        line = next(line for line in runner.stdout if "pids" in line)
        service, worker = map(int, line.split("pids")[1].split())
        everything = [service, worker, *descendants(service)]
        if stuck:
            os.kill(service, signal.SIGSTOP)
        runner.send_signal(number)
        assert runner.wait(DEADLINE) == -number
        assert all(gone(pid) for pid in everything)


def test_no_test_waits_without_an_end_for_a_pipe_to_be_closed() -> None:
    """F-D9: a process that a test has started may have given it to another, which lives on."""
    found = []
    for folder in (ROOT / "tests", ROOT / "plugins", ROOT / "toolbox"):
        for file in folder.rglob("*.py"):
            if "tests" in file.parts or "testing" in str(file) or "contract" in str(file):
                found += [f"{file}:{line}" for line in unbounded(ast.parse(file.read_text()))]
    assert found == []


def unbounded(tree: ast.AST) -> list[int]:
    """The lines that call ``communicate`` without a time limit."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "communicate"
        and "timeout" not in [keyword.arg for keyword in node.keywords]
    ]


GUARD = Path(toolbox.testing.__file__).with_name("guard.py")
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def has_read(process: subprocess.Popen[bytes]) -> bool:
    """True if a program has taken all of its input, and waits for more."""
    assert process.stdin is not None
    left = bytearray(4)
    fcntl.ioctl(process.stdin, termios.FIONREAD, left)
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return not any(left) and state == "S"


def with_pid(pid: int) -> subprocess.Popen[bytes]:
    """Start a program that gets a pid that is free; another's process may take it first."""
    for _ in range(1000):
        LAST_PID.write_text(str(pid - 1))
        started = subprocess.Popen(["sleep", "1000"])
        if started.pid == pid:
            return started
        end_tree(started)
    raise AssertionError("the pid is never free")


@pytest.mark.skipif(not os.access(LAST_PID, os.W_OK), reason="needs root, to choose a pid")
def test_a_process_that_has_got_the_pid_of_a_service_is_spared(tmp_path: Path) -> None:
    with ending(subprocess.Popen([sys.executable, GUARD], stdin=subprocess.PIPE)) as guard:
        assert guard.stdin is not None
        with ending(subprocess.Popen(["sleep", "1000"])) as service:
            guard.stdin.write(b"%d %s/\n" % (service.pid, os.fsencode(tmp_path)))
            guard.stdin.flush()
            end = time.monotonic() + DEADLINE
            while not has_read(guard):
                assert time.monotonic() < end
                time.sleep(0.01)
        with ending(with_pid(service.pid)) as other:
            guard.stdin.close()
            assert guard.wait(DEADLINE) == 0
            assert other.poll() is None

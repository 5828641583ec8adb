"""The one reader of /proc/<pid>, on real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.linux import procfs
from toolbox.linux.procfs import all_processes
from toolbox.linux.procfs import catches
from toolbox.linux.procfs import children
from toolbox.linux.procfs import cpu_ticks
from toolbox.linux.procfs import descendants
from toolbox.linux.procfs import is_alive
from toolbox.linux.procfs import read_process
from toolbox.linux.procfs import read_state
from toolbox.testing import DEADLINE

ROOT = Path(__file__).parents[1]


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name looks like the end of its name and a state."""
    program = tmp_path / "a) Z 1 2"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def wait_for_state(pid: int, states: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while read_state(pid) not in states:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_name_with_parentheses_is_not_taken_for_fields(odd: subprocess.Popen[bytes]) -> None:
    process = read_process(odd.pid)
    assert process is not None
    assert process[:4] == (odd.pid, os.getpid(), odd.pid, odd.pid)
    assert abs(procfs.now() - process.started) < DEADLINE * os.sysconf("SC_CLK_TCK")
    assert is_alive(odd.pid)
    assert cpu_ticks(odd.pid) >= 0
    assert process in all_processes()
    assert odd.pid in children(os.getpid()) | set(descendants(os.getpid()))


def test_states(odd: subprocess.Popen[bytes]) -> None:
    wait_for_state(odd.pid, "S")
    odd.send_signal(signal.SIGSTOP)
    wait_for_state(odd.pid, "T")
    assert is_alive(odd.pid)
    odd.kill()
    wait_for_state(odd.pid, "Z")
    assert not is_alive(odd.pid)
    assert read_process(odd.pid) is None
    odd.wait()
    assert read_state(odd.pid) == ""
    assert not is_alive(odd.pid)
    assert read_process(odd.pid) is None


def test_cpu_time_grows() -> None:
    before = cpu_ticks(os.getpid())
    deadline = time.monotonic() + DEADLINE
    while cpu_ticks(os.getpid()) <= before:
        assert time.monotonic() < deadline


def test_descendants_come_after_their_parents() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sh -c 'sleep 1000 & echo; wait' & wait"], stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        below = descendants(shell.pid)
        parents = {process.pid: process.parent for process in all_processes()}
        for pid in reversed(below):
            os.kill(pid, signal.SIGKILL)
    assert len(below) == 2
    assert [parents[pid] for pid in below] == [shell.pid, below[0]]


def test_caught_signals() -> None:
    old = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        assert catches(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        assert not catches(os.getpid(), signal.SIGUSR2)
        signal.signal(signal.SIGUSR2, old)


def test_nothing_else_parses_the_stat_of_a_process() -> None:
    parsing = re.compile(r"""rpartition\(b?["']\)["']\)|/stat["'\s]""")
    sources = [*ROOT.glob("toolbox/**/*.py"), *ROOT.glob("plugins/*/toolbox_*/**/*.py")]
    parsers = {path.name for path in sources if parsing.search(path.read_text())}
    assert parsers == {"procfs.py"}

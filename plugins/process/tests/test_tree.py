"""Finding and signalling processes, real ones."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from collections.abc import Iterator

import pytest
from toolbox_process.linux.marks import VARIABLE
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.marks import Marks
from toolbox_process.linux.marks import read_mark
from toolbox_process.linux.tree import Tree
from toolbox_process.linux.tree import signal_all
from toolbox_process.linux.tree import wait_for_exit
from toolbox_process.testing import alive
from toolbox_process.testing import eventually

from toolbox.linux.procfs import Process
from toolbox.linux.procfs import children
from toolbox.linux.procfs import read_process
from toolbox.processes import descendants
from toolbox.testing import ending


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with ending(subprocess.Popen(["sleep", "1000"], start_new_session=True)) as process:
        yield process


def known(child: subprocess.Popen[bytes]) -> Process:
    process = read_process(child.pid)
    assert process is not None
    return process


def test_a_pid_that_is_another_process_by_now_is_left_alone(
    child: subprocess.Popen[bytes],
) -> None:
    """AC-12."""
    process = known(child)
    earlier = process._replace(started=process.started - 1)
    signal_all([earlier], signal.SIGKILL)
    assert Tree([earlier], []).members() == []
    assert Tree([earlier], []).end(0) == []
    assert alive(child.pid)
    signal_all([process], signal.SIGKILL)
    assert child.wait(30) == -signal.SIGKILL


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_can_not_be_looked_at_is_not_gone(child: subprocess.Popen[bytes]) -> None:
    """F-A6, AC-08: EMFILE is no end."""
    process = known(child)
    tree = Tree([process], [Mark("none", 1)])
    looks: list[Callable[[], object]] = [
        lambda: read_process(child.pid),
        lambda: children(child.pid),
        lambda: read_mark(child.pid),
        lambda: descendants(os.getpid()),
        lambda: Marks([Mark("none", 1)]).fit(process),
        tree.members,
        lambda: tree.end(0),
        lambda: signal_all([process], signal.SIGKILL),
        lambda: wait_for_exit([process], time.monotonic() + 1),
    ]
    for look in looks:
        with no_descriptor_left(), pytest.raises(OSError) as failure:
            look()
        assert failure.value.errno == errno.EMFILE
    assert alive(child.pid)
    assert tree.end(5) == []
    assert child.wait(30) == -signal.SIGTERM


def test_what_has_ended_is_no_process(child: subprocess.Popen[bytes]) -> None:
    """AC-12: not even before it is reaped."""
    process = known(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert read_process(child.pid) is None
    signal_all([process], signal.SIGKILL)
    assert Tree([process], []).members() == []


def test_a_mark_is_enough() -> None:
    job, another = str(uuid.uuid4()), str(uuid.uuid4())
    env = {**os.environ, VARIABLE: job}
    with ending(subprocess.Popen(["sleep", "1000"], start_new_session=True, env=env)) as marked:
        # The kernel shows a new program's environment a moment after it has begun.
        eventually(lambda: read_mark(marked.pid) == job, "the mark")
        assert [each.pid for each in Tree([], [Mark(job)]).members()] == [marked.pid]
        assert Tree([], [Mark(another)]).members() == []
        assert Tree([], [Mark(job)]).end(5) == []
        assert marked.wait(30) == -signal.SIGTERM


def test_a_shell_is_reached_before_what_it_waits_for() -> None:
    """AC-02: or it would be done, and its trap would not run, before its own signal comes."""
    script = "sh -c 'sleep 1000; :' & echo $!; wait"
    command = ["sh", "-c", script]
    shell = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    with ending(shell):
        assert shell.stdout is not None
        inner = int(shell.stdout.readline())
        leader = known(shell)
        eventually(lambda: children(inner), "the innermost")
        tree = Tree([leader], [])
        order = [each.pid for each in tree.members()]
        assert order == [shell.pid, inner, *children(inner)]
        assert tree.end(0) == []

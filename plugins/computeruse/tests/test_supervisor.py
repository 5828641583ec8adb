"""Supervision of one program: its restarts, and the processes that end with it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_computeruse.desktop import supervisor as supervision
from toolbox_computeruse.desktop.supervisor import Program
from toolbox_computeruse.desktop.supervisor import Supervisor

from toolbox.testing import DEADLINE

from .conftest import alive

MakeSupervisor = Callable[..., Supervisor]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[MakeSupervisor]:
    """Return a supervisor of a shell script, not started yet."""
    made: list[Supervisor] = []

    def make(script: str, **options: Any) -> Supervisor:
        program = Program(
            name="program",
            priority=1,
            command=("sh", "-c", script),
            ready=lambda: True,
            environ={"HOME": str(tmp_path)},
            **options,
        )
        made.append(Supervisor(program, tmp_path))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_pauses_between_starts_grow(
    supervise: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(supervision, "LAST_PAUSE", 0.4)
    watched = supervise("date +%s.%N; exit 1")
    watched.start()
    wait_for(lambda: watched.output.text().count("\n") >= 6)
    times = [float(line) for line in watched.output.text().split()]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    # A restart is never early; its delay depends on the machine.
    assert all(
        pause > least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.4, 0.4), strict=False)
    )


def test_a_stop_does_not_wait_for_the_pause(
    supervise: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 3600.0)
    watched = supervise("echo started; echo broken >&2; exit 3")
    watched.start()
    wait_for(lambda: watched.failure == "broken" and watched.pid is None)
    assert not watched.given_up
    watched.stop()
    assert watched.given_up
    assert watched.output.text() == "started\n"


def test_what_is_to_run_once_is_not_started_again(supervise: MakeSupervisor) -> None:
    watched = supervise("echo started", auto_restart=False)
    watched.start()
    wait_for(lambda: watched.given_up)
    watched.start()
    wait_for(lambda: watched.output.text() == "started\nstarted\n")


def test_it_waits_for_what_it_needs(supervise: MakeSupervisor, tmp_path: Path) -> None:
    needed = tmp_path / "needed"
    watched = supervise("test -e needed && echo there; exec sleep 1000", needs=needed.exists)
    watched.start()
    watched.start()
    assert watched.pid is None
    needed.touch()
    wait_for(lambda: watched.output.text() == "there\n")
    first = watched.pid
    watched.stop()
    watched.start()
    wait_for(lambda: watched.pid not in (None, first))


def test_a_stop_ends_the_whole_group_and_who_has_left_it(supervise: MakeSupervisor) -> None:
    # Both ignore SIGTERM, and one has its own session.
    stubborn = "trap '' TERM; echo \\$\\$; while :; do sleep 1000; done"
    script = f'sh -c "{stubborn}" & setsid sh -c "{stubborn}" & exec sleep 1000'
    watched = supervise(script)
    watched.start()
    wait_for(lambda: watched.output.text().count("\n") == 2)
    pids = {int(line) for line in watched.output.text().split()}
    assert len(pids - {watched.pid}) == 2
    watched.stop()
    assert not [pid for pid in pids if alive(pid)]


def test_a_stop_ends_daemons_of_earlier_runs_too(
    supervise: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(supervision, "LAST_PAUSE", 0.01)
    daemon = "echo $$; exec sleep 1000"
    watched = supervise(f"setsid -f sh -c '{daemon}'; exit 1")
    watched.start()
    wait_for(lambda: watched.output.text().count("\n") >= 3)
    watched.stop()
    pids = [int(line) for line in watched.output.text().split()]
    assert not [pid for pid in pids if alive(pid)]


def test_a_program_that_is_not_there(supervise: MakeSupervisor, tmp_path: Path) -> None:
    program = Program(name="no", priority=1, command=("/nonexistent",), ready=lambda: True)
    watched = Supervisor(program, tmp_path)
    watched.start()
    wait_for(lambda: watched.failure)
    watched.stop()
    assert watched.failure == "/nonexistent: No such file or directory"


def test_nothing_belongs_to_nobody() -> None:
    # Processes that entered a container from outside have a session that is shown as 0.
    assert supervision._members(0, b"TOOLBOX_DESKTOP_PROGRAM=nobody") == set()

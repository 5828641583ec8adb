"""The clock that time limits use, while loops tick it and after they have ended."""

from __future__ import annotations

import threading
import time

import pytest

from toolbox.linux.clock import GAP
from toolbox.linux.clock import TICK
from toolbox.linux.clock import Clock
from toolbox.linux.clock import wait
from toolbox.sockets.loop import Loop


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock's time, which a test can change."""
    times = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: times[0])
    return times


def test_what_is_not_ticked_does_not_count(now: list[float]) -> None:
    clock = Clock()
    clock.tick()
    began = clock.awake()
    for _ in range(10):
        now[0] += TICK
        clock.tick()
    assert clock.awake() - began == 10 * TICK
    now[0] += 3600
    assert clock.awake() - began == 10 * TICK + GAP
    clock.tick()
    assert clock.awake() - began == 10 * TICK + GAP


def test_without_ticks_to_come_every_second_counts(now: list[float]) -> None:
    clock = Clock()
    began = clock.awake()
    now[0] += 3600
    assert clock.awake() - began == 3600
    clock.tick()
    assert clock.awake() - began == 3600
    now[0] += TICK
    clock.release()
    now[0] += 3600
    assert clock.awake() - began == 7200 + TICK
    clock.tick()
    now[0] += 3600
    assert clock.awake() - began == 7200 + TICK + GAP


def test_a_time_limit_is_reached_after_the_loop_has_ended() -> None:
    loop = Loop()
    loop.start()
    loop.stop()
    assert not wait(threading.Event(), 2 * GAP)

"""The average over the last seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from toolbox_info import cpu
from toolbox_info.cpu import CpuMeter

from toolbox.sockets.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    loop.start()
    yield loop
    loop.stop()


class Counter:
    """A counter of CPU seconds, and how often it was read."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.reads = 0
        self.read = threading.Condition()

    def __call__(self) -> float:
        with self.read:
            self.reads += 1
            self.read.notify_all()
            return self.seconds

    def wait_for_samples(self, count: int) -> None:
        with self.read:
            goal = self.reads + count
            assert self.read.wait_for(lambda: self.reads >= goal, 30)


def test_it_tells_cores(loop: Loop) -> None:
    counter = Counter()
    begin = time.monotonic()
    meter = CpuMeter(counter, loop)
    counter.seconds = 1000.0
    busy = meter.busy_cores()
    assert busy >= 1000.0 / (time.monotonic() - begin)
    meter.close()


def test_a_counter_that_went_back_is_zero(loop: Loop) -> None:
    counter = Counter()
    counter.seconds = 5.0
    meter = CpuMeter(counter, loop)
    counter.seconds = 1.0
    assert meter.busy_cores() == 0.0
    meter.close()


def test_what_was_long_ago_does_not_count(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "INTERVAL", 0.01)
    counter = Counter()
    meter = CpuMeter(counter, loop)
    counter.seconds = 1000.0
    counter.wait_for_samples(3)
    assert meter.busy_cores() == 0.0
    meter.close()


def test_it_can_be_asked_often(loop: Loop) -> None:
    counter = Counter()
    meter = CpuMeter(counter, loop)
    counter.seconds = 1.0
    assert all(meter.busy_cores() > 0 for _ in range(100)), "asking starts no new window"
    meter.close()

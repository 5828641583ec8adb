"""A soak: everything that clients do, again and again, and no trace of it is left.

``TOOLBOX_TEST_SOAK`` is for how many seconds; an hour by hand finds what a minute in CI can't.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from toolbox.processes import descendants
from toolbox.testing import Service

from .soaking import Soaker
from .workload import open_files
from .workload import together

SECONDS = float(os.environ.get("TOOLBOX_TEST_SOAK", "60"))
LEAST = 4000
"""Operations up to which it goes on beside a busy machine's other work, for three times as long at
most: a slope over fewer is chance.
"""

CLIENTS = 4
WARM_UP = 0.4
"""The part of it after which every cache and every history has been filled."""

SETTINGS = """
[process.local]
keep_jobs = 8
grace = 0.2
"""
"""Few finished jobs are kept, so that there soon are as many as ever will be."""

SLOPE = 0.6e6
"""Bytes that memory may grow by for each thousand operations: less than a KiB for each.

Up to half of it was seen without a leak, when little was done in the time.
"""

OBJECTS = 600
"""The same for objects of Python. One that is kept for each operation would be a thousand."""

GROWTH = 12e6
"""Bytes that it may grow by in all."""

ROOM = 16
"""What there may be more of, as not everything has gone at the moment of a look."""


class Sample(NamedTuple):
    """A look at the service while nobody uses it."""

    operations: int
    objects: int
    memory: int
    heaps: int


class Left(NamedTuple):
    """What may be left behind."""

    descriptors: int
    threads: int
    processes: int
    files: int


def look(service: Service) -> Left:
    """Count what there is now."""
    (worker,) = service.workers()
    shared = [Path("/dev/shm").glob(f"toolbox-*-{pid}-*") for pid in (worker, service.process.pid)]
    directories = [service.directory / "tmp", *itertools.chain(*shared)]
    return Left(
        open_files(worker),
        len(os.listdir(f"/proc/{worker}/task")),
        len(descendants(service.process.pid)),
        sum(len(names) + len(files) for top in directories for _, names, files in os.walk(top)),
    )


def memory_slope(samples: list[Sample]) -> float:
    """Bytes for each thousand operations: the median of the growth from look to look.

    A leak is there each time. What is needed for the first time, as more happens at once than ever
    before, is not.
    """
    return statistics.median(
        (after.memory - before.memory) * 1000 / (after.operations - before.operations)
        for before, after in itertools.pairwise(samples)
    )


def object_slope(samples: list[Sample]) -> float:
    """Objects for each thousand operations, by the line that fits best."""
    thousands = [sample.operations / 1000 for sample in samples]
    return statistics.linear_regression(thousands, [each.objects for each in samples]).slope


def share_of(passed: float, done: int) -> float:
    """Return how much of the soak is over."""
    return max(min(passed / SECONDS, done / LEAST), passed / (3 * SECONDS))


@pytest.fixture
def soaked(toy_service: Callable[..., Service], tmp_path: Path) -> Service:
    """A service whose temporary files are its own, and whose memory can be looked into."""
    temporary = tmp_path / "service-0" / "tmp"
    temporary.mkdir(parents=True)
    return toy_service("weigher", settings=SETTINGS, env={"TMPDIR": str(temporary), "PS1": "$ "})


@pytest.fixture
def clients(soaked: Service, application: int) -> Iterator[list[Soaker]]:
    made = [Soaker(soaked, number, application) for number in range(CLIENTS)]
    yield made
    for each in made:
        each.http.close()


@pytest.mark.timeout(int(3 * SECONDS + 240))
def test_nothing_is_left_of_what_is_done_again_and_again(
    soaked: Service, clients: list[Soaker], capsys: pytest.CaptureFixture[str]
) -> None:
    # AC-45
    together(Soaker.prepare, [(each,) for each in clients])
    samples: list[Sample] = []
    looks: list[Left] = []
    done = 0
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        while (share := share_of(time.monotonic() - began, done)) < 1:
            done += sum(pool.map(Soaker.round, clients))
            sample = Sample(done, **soaked.http.get("/weigh").json())
            if share < WARM_UP:
                looks.append(look(soaked))
            else:
                samples.append(sample)
    most = [max(counts) for counts in zip(*looks, strict=True)]
    soaked.wait_for(
        lambda: all(now <= then + ROOM for now, then in zip(look(soaked), most, strict=True)),
        f"the return to at most {most}",
    )
    memory, objects = memory_slope(samples), object_slope(samples)
    grown = samples[-1].memory - samples[0].memory
    with capsys.disabled():
        print(
            f"\n{done} operations of {len(clients[0].actions)} kinds; for each 1,000:"
            f" {memory / 1e6:+.2f} MB, {objects:+.0f} objects; in all {grown / 1e6:+.1f} MB;"
            f" {dict(zip(Left._fields, most, strict=True))} -> {look(soaked)}",
            file=sys.stderr,
        )
    assert samples[-1].heaps == 1
    assert memory < SLOPE
    assert objects < OBJECTS
    assert grown < GROWTH
    together(Soaker.clean_up, [(each,) for each in clients])
    assert "Traceback" not in soaked.log()

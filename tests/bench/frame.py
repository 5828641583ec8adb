"""The frame of every measurement: rounds that take turns, medians, ratios, one table.

A file of this directory plugs in by functions named ``bench_...`` that yield rows::

    from bench.frame import Bench
    from bench.frame import Row
    from bench.servers import toolbox


    def bench_download(bench: Bench) -> Iterator[Row]:
        # what every row needs is made here, once; bench.directory is a fresh one
        with toolbox() as ours:
            yield Row(
                "download 1 GiB",
                unit="s",
                ours=lambda: timed(lambda: download(ours)),
                limit=("sendfile", lambda: timed(sendfile)),
                floor="<= 1.3x",
                stretch="<= 1.05x",
            )

The row is measured while the function waits at its ``yield``, so what is open stays open. Ours,
the limit and the peers take turns in each round, in another order each time; what counts is the
median of the rounds.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """One measurement: the value that is compared, and what else is told of it."""

    value: float
    details: Mapping[str, float] = {}
    """Shown beside the value, by name (with its unit)."""


Measure = Callable[[], float | Sample]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``floor`` and ``stretch`` are targets: ``<= 1.5x`` bounds the ratio to the limit, ``<= 300``
    the value itself, ``>= 2x swe-rex`` the ratio to that peer; several are joined by commas.
    """

    name: str
    unit: str
    ours: Measure
    limit: tuple[str, Measure] | None = None
    """What the same work costs without us, by name."""
    peers: Mapping[str, Measure] = field(default_factory=dict)
    floor: str = ""
    stretch: str = ""
    rounds: int | None = None
    """Rounds of this row, if not those of the run."""
    before: tuple[str, Measure] | None = None
    """The same of another commit, by its name (``--against``)."""


@dataclass(frozen=True)
class Bench:
    """What a function that measures gets."""

    rounds: int
    seconds: float
    """Length of a load."""
    directory: Path
    """Empty, removed at the end of the function."""
    peers: bool
    """Whether to measure peers too: they are installed first, which takes a minute."""


Line = tuple[str, ...]
Function = Callable[[Bench], Iterator[Row]]


def timed(action: Callable[[], object]) -> float:
    """Seconds it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(row: Row, rounds: int) -> Line:
    """Measure a row; its cells."""
    compared = [each for each in (row.limit, row.before) if each]
    contenders = {**dict(compared), "": row.ours, **row.peers}
    names = list(contenders)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for each in range(row.rounds or rounds):
        turn = each % len(names)
        for name in names[turn:] + names[:turn]:
            value = contenders[name]()
            samples[name].append(value if isinstance(value, Sample) else Sample(value))
    medians = {name: _median(samples[name]) for name in names}
    ours = medians.pop("")
    limit = medians[row.limit[0]].value if row.limit else None
    others = ", ".join(f"{_number(each.value)} {row.unit} ({n})" for n, each in medians.items())
    return (
        row.name,
        f"{_number(ours.value)} {row.unit}" + "".join(_details(ours)),
        others,
        ", ".join(_ratio(ours.value / medians[name].value, name, row) for name, _ in compared),
        row.floor,
        _verdict(row, ours.value, limit, {name: each.value for name, each in medians.items()}),
    )


def _ratio(ratio: float, name: str, row: Row) -> str:
    before = row.before is not None and name == row.before[0]
    return f"{ratio:.2f}x {name}" if before else f"{ratio:.2f}x"


def _median(samples: list[Sample]) -> Sample:
    details = {
        name: statistics.median(each.details[name] for each in samples)
        for name in samples[0].details
    }
    return Sample(statistics.median(each.value for each in samples), details)


def _details(sample: Sample) -> Iterator[str]:
    for name, value in sample.details.items():
        yield f", {name} {_number(value)}"


def _number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(row: Row, ours: float, limit: float | None, peers: Mapping[str, float]) -> str:
    """``stretch`` and ``floor`` for targets reached, ``missed`` for a floor that isn't; nothing
    where it takes a peer that isn't part of this run.
    """
    if (floor := _reached(row.floor, ours, limit, peers)) is False:
        return "missed"
    if _reached(row.stretch, ours, limit, peers):
        return "stretch"
    return "floor" if floor else ""


def _reached(
    targets: str, ours: float, limit: float | None, peers: Mapping[str, float]
) -> bool | None:
    verdict: bool | None = True if targets else None
    for target in targets.split(", ") if targets else ():
        match = re.fullmatch(r"(<=|>=) ([\d.]+)(x?) ?(.*)", target)
        assert match, f"a target looks like '<= 1.5x': {target}"
        sign, bound, ratio, peer = match.groups()
        beside = 1.0 if not ratio else peers.get(peer) if peer else limit
        if beside is None:
            verdict = None
        elif not (ours / beside <= float(bound) if sign == "<=" else ours / beside >= float(bound)):
            return False
    return verdict

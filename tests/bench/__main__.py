"""Measure the service against limits taken in the same run: ``python tests/bench``.

Every figure is a ratio, as machines differ and are busy: "limit" is what the same work costs
without us. ``--write`` puts the table into ``RESULTS.rst``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import Server
from measure import http
from measure import load
from measure import posix_spawn
from measure import stock
from measure import toolbox

Row = tuple[str, str, str, str, str]

VERSION = http("GET", "/version")
EXECUTE = http("POST", "/process/execute", b'{"command": "true"}')


def rows(rounds: int, seconds: float) -> Iterator[Row]:
    """Name, ours, limit, ratio, target."""
    yield from start_rows(rounds)
    with toolbox() as ours, stock() as theirs:
        yield from version_rows(ours, theirs, rounds, seconds)
        yield from execute_rows(ours, rounds, seconds)


def start_rows(rounds: int) -> Iterator[Row]:
    """From exec to the first answer, and the memory then; the two take turns."""
    starts: tuple[list[float], list[float]] = ([], [])
    memory: tuple[list[int], list[int]] = ([], [])
    for _ in range(rounds):
        for index, server in enumerate((toolbox, stock)):
            with server() as running:
                starts[index].append(running.started)
                memory[index].append(running.memory())
    ours, limit = (statistics.median(each) * 1e3 for each in starts)
    yield (
        "start to first answer",
        f"{ours:.0f} ms",
        f"{limit:.0f} ms (Flask)",
        ratio(ours, limit),
        "<= 300 ms",
    )
    ours, limit = (statistics.median(each) / 1e6 for each in memory)
    yield "idle memory", f"{ours:.0f} MB", f"{limit:.0f} MB (Flask)", ratio(ours, limit), "<= 70 MB"


def version_rows(ours: Server, theirs: Server, rounds: int, seconds: float) -> Iterator[Row]:
    """The smallest request, against the same under stock gunicorn."""
    for clients in (1, 16):
        mine, limit = [], []
        for _ in range(rounds):
            mine.append(load(ours.port, VERSION, clients, seconds))
            limit.append(load(theirs.port, VERSION, clients, seconds))
        rate = statistics.median(each.rate for each in mine)
        bound = statistics.median(each.rate for each in limit)
        p50 = statistics.median(each.p50 for each in mine) * 1e3
        p99 = statistics.median(each.p99 for each in mine) * 1e3
        yield (
            f"GET /version, {clients} client{'s' * (clients > 1)}",
            f"{rate:.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms",
            f"{bound:.0f}/s (stock gthread)",
            ratio(rate, bound),
            ">= 1.5x" if clients == 1 else ">= 6x",
        )


def execute_rows(ours: Server, rounds: int, seconds: float) -> Iterator[Row]:
    """A command that does nothing, against starting the same program oneself."""
    for clients in (1, 8):
        mine, limit = [], []
        for _ in range(rounds):
            limit.append(posix_spawn())
            mine.append(load(ours.port, EXECUTE, clients, seconds))
        bound = statistics.median(limit) * 1e3
        rate = statistics.median(each.rate for each in mine)
        p50 = statistics.median(each.p50 for each in mine) * 1e3
        p99 = statistics.median(each.p99 for each in mine) * 1e3
        per_command = p50 if clients == 1 else 1e3 / rate
        yield (
            f"execute true, {clients} client{'s' * (clients > 1)}",
            f"{rate:.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms",
            f"{bound:.2f} ms (posix_spawn)",
            ratio(per_command, bound),
            "<= 2.0x" if clients == 1 else "",
        )


def ratio(ours: float, limit: float) -> str:
    """How many times the limit."""
    return f"{ours / limit:.2f}x"


def table(lines: list[Row]) -> str:
    """A simple table of reStructuredText."""
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    rule = "  ".join("=" * width for width in widths)
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([rule, text[0], rule, *text[1:], rule]) + "\n"


def machine() -> str:
    """What it was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("gunicorn", "flask"))
    return (
        f"{date.today()}: {len(os.sched_getaffinity(0))} x {model}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {packages}."
    )


def main() -> None:
    """Measure, print, and write the results down if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each load")
    parser.add_argument("--write", action="store_true", help="write RESULTS.rst")
    options = parser.parse_args()
    head: Row = ("what", "ours", "limit", "ratio", "target")
    text = table([head, *rows(options.rounds, options.seconds)])
    print(machine(), text, sep="\n\n")
    if options.write:
        title = "Results of the last run\n=======================\n\n"
        note = (
            "Written by ``python tests/bench --write``: medians, each limit from the same run.\n\n"
        )
        Path(__file__).with_name("RESULTS.rst").write_text(f"{title}{note}{machine()}\n\n{text}")


if __name__ == "__main__":
    main()

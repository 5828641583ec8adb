"""The command line: measure what is named, print it, and write it down."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.against import Other
from bench.against import installed
from bench.against import paired
from bench.frame import Bench
from bench.frame import Function
from bench.frame import Line
from bench.frame import measure
from bench.machine import machine
from bench.tables import write_section

HERE = Path(__file__).parent
HEAD = ("what", "ours", "limit", "ratio", "target", "")


def functions() -> dict[str, Function]:
    """Everything that measures, by name: ``core.start``."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        if path.stem.startswith("_"):
            continue
        module = importlib.import_module(f"bench.{path.stem}")
        for name, value in vars(module).items():
            if name.startswith("bench_"):
                found[f"{path.stem}.{name.removeprefix('bench_')}"] = value
    return found


def run(function: Function, options: argparse.Namespace, other: Other | None) -> Iterator[Line]:
    """Measure one function's rows, telling each as it is known."""
    with contextlib.ExitStack() as stack:

        def bench() -> Bench:
            directory = tempfile.TemporaryDirectory(prefix="toolbox-bench-")
            path = Path(stack.enter_context(directory))
            return Bench(options.rounds, options.seconds, path, options.peers)

        for row in paired(function, bench(), bench(), other) if other else function(bench()):
            line = measure(row, options.rounds)
            print("  ".join(cell for cell in line if cell), flush=True)
            yield line


def main(doc: str) -> int:
    """Measure, print, and write the results down if asked to."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("names", nargs="*", help="file, or file.function; all if none is named")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each load")
    parser.add_argument("--peers", action="store_true", help="measure swe-rex and terminado too")
    parser.add_argument("--against", metavar="REV", help="measure the service of that commit too")
    parser.add_argument("--write", action="store_true", help="write RESULTS.rst")
    parser.add_argument("--list", action="store_true", help="name what can be measured, and end")
    options = parser.parse_args()
    known = functions()
    chosen = [
        name
        for name in known
        if not options.names or name in options.names or name.split(".")[0] in options.names
    ]
    unknown = {
        n for n in options.names if n not in known and not any(k.startswith(n + ".") for k in known)
    }
    if unknown:
        parser.error(f"nothing is called {', '.join(sorted(unknown))}; --list tells what there is")
    if options.list:
        print("\n".join(chosen))
        return 0
    if options.write and any("." in name for name in options.names):
        parser.error("--write writes the tables of whole files")
    print(machine(), flush=True)
    lines: dict[str, list[Line]] = {}
    with contextlib.ExitStack() as stack:
        against = options.against
        other = stack.enter_context(installed(against, HERE.parents[1])) if against else None
        for name in chosen:
            lines.setdefault(name.split(".")[0], []).extend(run(known[name], options, other))
    if options.write:
        for file, rows in lines.items():
            write_section(HERE / "RESULTS.rst", file, machine(), [HEAD, *rows])
    return int(any(line[-1] == "missed" for rows in lines.values() for line in rows))

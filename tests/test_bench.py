"""The benchmark's frame: its files are found, and a target is judged by what was measured."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(HERE))
    import bench.frame

    return bench.frame


def test_every_file_is_found_by_one_command() -> None:
    command = [sys.executable, str(HERE / "bench"), "--list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    files = {line.split(".")[0] for line in listed.stdout.splitlines()}
    assert "core" in files
    named_for_measuring = {
        path.stem for path in (HERE / "bench").glob("*.py") if "\ndef bench_" in path.read_text()
    }
    assert files == named_for_measuring


@pytest.mark.parametrize(
    ("ours", "verdict"), [(1.0, "stretch"), (1.4, "floor"), (1.6, "missed"), (20.0, "missed")]
)
def test_a_target_is_judged_by_the_ratio_to_the_limit(
    frame: ModuleType, ours: float, verdict: str
) -> None:
    row = frame.Row(
        "r", "ms", lambda: ours, ("cp", lambda: 1.0), floor="<= 1.5x, <= 10", stretch="<= 1.2x"
    )
    assert frame.measure(row, 3)[-1] == verdict


def test_without_the_peer_a_target_is_not_judged_unless_it_is_missed(frame: ModuleType) -> None:
    def verdict(ours: float, **peers: float) -> str:
        row = frame.Row(
            "r",
            "/s",
            lambda: ours,
            ("cp", lambda: 1.0),
            {name: functools.partial(float, value) for name, value in peers.items()},
            floor=">= 2x peer, >= 1.5x",
            stretch=">= 3x peer",
        )
        cells: tuple[str, ...] = frame.measure(row, 1)
        return cells[-1]

    assert verdict(1.4) == "missed"
    assert verdict(1.6) == ""
    assert verdict(4.0, peer=1.0) == "stretch"
    assert verdict(2.5, peer=1.0) == "floor"
    assert verdict(2.5, peer=2.0) == "missed"


def test_what_counts_is_the_median_of_rounds_that_take_turns(frame: ModuleType) -> None:
    calls: list[str] = []
    values = iter([9.0, 2.0, 4.0])

    def ours() -> float:
        calls.append("ours")
        return next(values)

    def limit() -> float:
        calls.append("limit")
        return 2.0

    row = frame.Row("r", "ms", ours, ("cp", limit), floor="<= 2x")
    assert frame.measure(row, 3) == ("r", "4 ms", "2 ms (cp)", "2.00x", "<= 2x", "floor")
    assert sorted(calls[:2]) == sorted(calls[2:4]) == ["limit", "ours"]


def test_a_table_replaces_the_one_of_its_name(frame: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.rst"
    frame.write_section(file, "git", "then", [("what", "ours"), ("clone", "1")])
    frame.write_section(file, "core", "then", [("what", "ours"), ("start", "2")])
    frame.write_section(file, "git", "now", [("what", "ours"), ("clone", "3")])
    text = file.read_text()
    assert text.count("git\n---") == 1 and "then" in text and "clone  3" in text
    assert text.index("start") < text.index("clone")

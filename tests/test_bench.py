"""The benchmark's frame: its files are found, and a target is judged by what was measured."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

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


def test_what_is_measured_against_another_commit_runs_its_service(
    frame: ModuleType, tmp_path: Path
) -> None:
    from bench import against
    from bench import servers

    def function(bench: Any) -> Iterator[Any]:
        made_with = servers.PROGRAM.get()

        def ours() -> float:
            assert servers.PROGRAM.get() == made_with
            return 3.0 if made_with == sys.executable else 6.0

        yield frame.Row(bench.directory.name, "s", ours, ("cp", lambda: 2.0), rounds=1)
        yield frame.Row("second", "s", ours, floor="<= 4")

    ours, theirs = (frame.Bench(1, 1.0, tmp_path / name, False) for name in ("ours", "theirs"))
    other = against.Other("abc123", "their-python")
    first, second = (frame.measure(row, 2) for row in against.paired(function, ours, theirs, other))
    assert first == ("ours", "3 s", "2 s (cp), 6 s (abc123)", "1.50x, 0.50x abc123", "", "")
    assert second == ("second", "3 s", "6 s (abc123)", "0.50x abc123", "<= 4", "floor")
    assert servers.PROGRAM.get() == sys.executable


def test_another_commit_is_installed_as_it_was(frame: ModuleType, tmp_path: Path) -> None:
    from bench import against

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, timeout=60)

    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thing"\nversion = "1"\n')
    (tmp_path / "requirements.txt").write_text("-e .\n")
    git("init", "-q")
    for year in ("then", "now"):
        (tmp_path / "thing.py").write_text(f"import flask\nyear = {year!r}\n")
        git("add", ".")
        git("commit", "-q", "-m", year)
    with against.installed("HEAD~1", tmp_path) as other:
        command = [other.program, "-c", "import thing; print(thing.year)"]
        assert subprocess.check_output(command, text=True, timeout=60) == "then\n"
    assert not Path(other.program).exists()
    with pytest.raises(SystemExit, match="no-commit"), against.installed("no-commit", tmp_path):
        pass


def test_a_table_replaces_the_one_of_its_name(frame: ModuleType, tmp_path: Path) -> None:
    from bench import tables

    file = tmp_path / "RESULTS.rst"
    tables.write_section(file, "git", "then", [("what", "ours"), ("clone", "1")])
    tables.write_section(file, "core", "then", [("what", "ours"), ("start", "2")])
    tables.write_section(file, "git", "now", [("what", "ours"), ("clone", "3")])
    text = file.read_text()
    assert text.count("git\n---") == 1 and "then" in text and "clone  3" in text
    assert text.index("start") < text.index("clone")

"""Trees that are wide enough for two processes to share the work."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from toolbox_checkpoints.helpers import comparing
from toolbox_checkpoints.helpers import recording
from toolbox_checkpoints.helpers.creating import create
from toolbox_checkpoints.helpers.differing import diff
from toolbox_checkpoints.helpers.failures import Damaged
from toolbox_checkpoints.helpers.failures import NoRoom
from toolbox_checkpoints.helpers.failures import Unreadable
from toolbox_checkpoints.helpers.restoring import fork
from toolbox_checkpoints.helpers.restoring import restore
from toolbox_checkpoints.helpers.service import Service as Link

from toolbox.trees import copying
from toolbox.trees import halving
from toolbox.trees.errors import Cancelled
from toolbox.trees.errors import TreeError
from toolbox.trees.halving import halve

from .trees import described
from .trees import task

WIDE = 40
"""Directories, each with a few files."""


class InSecond(Link):
    """The helper's connection; ``happen`` is called in the process that takes a part."""

    def __init__(self) -> None:
        super().__init__()
        self._first = os.getpid()

    def check(self) -> None:
        if os.getpid() != self._first:
            self.happen()

    def happen(self) -> None:
        """Nothing."""


def halve_surely(count: int, here: Callable[[Any], Any], there: Callable[[Any], Any]) -> Any:
    """As :func:`halve`, but the second process always gets a part, however late it comes."""
    begun, begin = os.pipe()

    def wait(units: Iterator[int]) -> None:
        os.read(begun, 1)
        here(units)

    def take(units: Iterator[int]) -> Any:
        first = next(units)
        os.write(begin, b"x")
        return there(chain([first], units))

    try:
        return halve(count, wait, take)
    finally:
        os.close(begun)
        os.close(begin)


@pytest.fixture(autouse=True)
def _halves(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (comparing, copying, halving, recording):
        monkeypatch.setattr(module, "can_halve", lambda: True)
        monkeypatch.setattr(module, "halve", halve_surely)
    monkeypatch.setattr(recording, "TOGETHER", 1)
    monkeypatch.setattr(comparing, "UNITS", WIDE // 2)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "project"
    for number in range(WIDE):
        directory = top / f"package{number}" / "lib"
        directory.mkdir(parents=True)
        (directory / "index.js").write_text(f"{number}\n" * number)
        (directory / "odd\udcff").symlink_to("index.js")
        # One file in all of them, and one in two that are far from each other.
        (directory / "all").hardlink_to(top / "package0" / "lib" / "index.js")
        if number >= WIDE // 2:
            other = top / f"package{number - WIDE // 2}" / "lib" / "index.js"
            (directory / "pair").hardlink_to(other)
    return top


def test_a_wide_tree_is_whole_whoever_copies_what(top: Path, store: Path) -> None:
    before = described(top)
    link = InSecond()
    record = create(task(top, store), link)
    files = sum(len(names) for _, _, names in os.walk(top))
    assert (record["consistent"], record["files"], link.progress[0]) == (True, files, files)
    assert record["directories"] == 1 + 2 * WIDE
    on_disk = {path.lstat().st_ino: path.lstat().st_blocks * 512 for path in files_of(top)}
    assert record["stored"] == sum(on_disk.values())
    assert described(store / record["id"] / "tree") == before
    # The next one shares all of it.
    options = {"id": "2" * 32, "previous": record["id"]}
    shared = create(task(top, store, **options), InSecond())
    assert (shared["consistent"], shared["files"], shared["stored"]) == (True, files, 0)
    fork(task(top, store, target=str(top.with_name("fork"))), InSecond())
    assert described(top.with_name("fork")) == before
    for path in list(files_of(top)):
        path.unlink()
        path.write_text("other")
    restore(task(top, store), InSecond())
    assert described(top) == before


def files_of(top: Path) -> Iterator[Path]:
    return (path for path in top.rglob("*") if not path.is_dir())


def test_changes_are_found_by_either(top: Path, store: Path, monkeypatch: Any) -> None:
    changed = [f"package{number}/lib/index.js" for number in range(1, WIDE)]
    numbers = iter(range(WIDE, 10**6))
    merge = recording.Recorder.merge

    def change_all(recorder: Any, part: Any) -> None:
        merge(recorder, part)
        for name in changed:
            (top / name).write_text("x" * next(numbers))

    monkeypatch.setattr(recording.Recorder, "merge", change_all)
    record = create(task(top, store), InSecond())
    assert not record["consistent"]
    assert set(changed) <= set(record["changed"])


def test_differences_are_found_by_either(top: Path, store: Path) -> None:
    create(task(top, store), InSecond())
    wanted: dict[str, str] = {}
    for number in range(WIDE):
        package = top / f"package{number}"
        (package / "new").write_text("new")
        (package / "lib" / "odd\udcff").unlink()
        wanted |= {f"package{number}/new": "added", f"package{number}/lib/odd\U0010f7ff": "deleted"}
    options = {"other": str(top), "is_live": True, "files": 10**6, "bytes": 0}
    found = diff(task(top, store, **options), InSecond())
    assert {entry["path"]: entry["change"] for entry in found["files"]} == wanted
    assert found["total"] == len(wanted)
    paths = [entry["path"] for entry in found["files"]]
    assert paths == sorted(paths)


def test_damage_that_the_second_process_finds_is_named(top: Path, store: Path) -> None:
    record = create(task(top, store), InSecond())
    before = described(top)
    for package in (store / record["id"] / "tree").iterdir():
        (package / "lib" / "all").unlink()
    with pytest.raises(Damaged, match=r"package\d+/lib/all"):
        restore(task(top, store), InSecond())
    assert described(top) == before


def test_the_bound_holds_for_both(top: Path, store: Path) -> None:
    # A file with names in two parts may be copied, and counted, by both at once.
    for package in top.iterdir():
        (package / "lib" / "pair").unlink(missing_ok=True)
    size = sum({path.lstat().st_ino: path.lstat().st_blocks for path in files_of(top)}.values())
    with pytest.raises(NoRoom):
        create(task(top, store, budget=size * 512 - 1), InSecond())
    assert not list(store.glob(".making/*"))
    create(task(top, store, budget=size * 512), InSecond())


def test_an_end_in_the_second_process_leaves_nothing(top: Path, store: Path) -> None:
    class Ended(InSecond):
        def happen(self) -> None:
            raise Cancelled("cancelled")

    class Killed(InSecond):
        def happen(self) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    class Failing(InSecond):
        def happen(self) -> None:
            raise PermissionError(13, "Permission denied", "name")

    before = described(top)
    for link, error in ((Ended(), Cancelled), (Killed(), TreeError), (Failing(), Unreadable)):
        with pytest.raises(error) as raised:
            create(task(top, store), link)
        assert error is not Unreadable or re.match(rf"{top}/package\d+/", str(raised.value))
        assert not list(store.glob(".making/*"))
        assert described(top) == before


def test_a_failure_here_ends_the_second_process(tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    os.mkfifo(channel)
    pids: list[int] = []

    def fail(units: Iterator[int]) -> None:
        pids.append(int(channel.read_text()))
        raise KeyError

    def wait(units: Iterator[int]) -> None:
        channel.write_text(str(os.getpid()))
        signal.pause()

    with pytest.raises(KeyError):
        halve(100, fail, wait)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.parametrize("capacity", [4096, 65536])
def test_each_unit_is_done_once(capacity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the kernel gives a user with many pipes only small ones (pipe(7))."""
    pipe = os.pipe

    def small() -> tuple[int, int]:
        ends = pipe()
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, capacity)
        return ends

    monkeypatch.setattr(os, "pipe", small)
    here: list[int] = []
    there = halve(8192, here.extend, list)
    assert sorted([*here, *there]) == list(range(8192))


def test_a_restore_that_fails_in_either_process_is_undone(
    top: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(task(top, store), InSecond())
    for path in list(files_of(top)):
        path.unlink()
        path.write_text("other")
    before = described(top)
    rename, first = os.rename, os.getpid()
    for fails_first in (True, False):
        calls: list[int] = []

        def fail(calls: list[int], fails_first: bool, *names: Any, **places: Any) -> None:
            is_step = "src_dir_fd" in places and (os.getpid() == first) is fails_first
            calls += [1] if is_step else []
            # Once: undoing renames, too.
            if is_step and len(calls) == 2:
                raise OSError(5, "Input/output error")
            rename(*names, **places)

        failing = partial(fail, calls, fails_first)
        monkeypatch.setattr(os, "rename", failing)
        with pytest.raises(OSError, match="Input/output error"):
            restore(task(top, store), InSecond())
        monkeypatch.setattr(os, "rename", rename)
        now = described(top)
        assert {path: each[2:] for path, each in now.items()} == {
            path: each[2:] for path, each in before.items()
        }
        assert not list(store.glob(".work/*"))

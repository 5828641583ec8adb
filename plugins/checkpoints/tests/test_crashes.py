"""Checkpoints and restores that something gets in the way of: changes, errors, and kills."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from toolbox_checkpoints.helpers import applying
from toolbox_checkpoints.helpers import restoring
from toolbox_checkpoints.helpers.creating import create
from toolbox_checkpoints.helpers.restoring import fork
from toolbox_checkpoints.helpers.restoring import restore
from toolbox_checkpoints.helpers.service import Service as Link
from toolbox_checkpoints.helpers.sweeping import sweep

from toolbox.handover.report import read_report
from toolbox.processes import descendants
from toolbox.testing import Service
from toolbox.trees import linking

from .trees import described
from .trees import make_tree
from .trees import spoil_tree
from .trees import task


class Meddler(Link):
    """The helper's connection; each time that it is looked at, something changes."""

    def __init__(self, meddle: Callable[[int], object] = bool) -> None:
        super().__init__()
        self._meddle = meddle
        self._looks = 0

    def check(self) -> None:
        self._looks += 1
        self._meddle(self._looks)


class Killed(BaseException):
    """The end of the helper: nothing runs after it."""


@pytest.fixture
def top(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def test_a_change_meanwhile_is_copied_too(top: Path, store: Path) -> None:
    make_tree(top)

    def meddle(look: int) -> None:
        if look == 7:
            (top / "src" / "main.py").write_text("changed")
            (top / "late").write_text("new")

    record = create(task(top, store), Meddler(meddle))
    assert record["consistent"]
    assert described(store / record["id"] / "tree") == described(top)


def test_what_changes_all_the_time_is_named(top: Path, store: Path) -> None:
    make_tree(top)
    (top / "log").touch()

    def meddle(look: int) -> None:
        with (top / "log").open("a") as file:
            file.write("line\n")

    record = create(task(top, store), Meddler(meddle))
    assert not record["consistent"]
    assert (record["changed"], record["changed_count"]) == (["log"], 1)
    copied = described(store / record["id"] / "tree")
    now = described(top)
    assert {path for path in now if copied[path] != now[path]} == {b"log"}
    assert not list(store.glob(".making/*"))


def test_directories_that_come_and_go_meanwhile(top: Path, store: Path) -> None:
    make_tree(top)

    def meddle(look: int) -> None:
        # Their names take turns, as those of a package manager's.
        here, there = top / f"turn{look % 2}", top / f"turn{(look + 1) % 2}"
        if here.exists():
            here.rename(there)
        else:
            there.mkdir(exist_ok=True)

    record = create(task(top, store), Meddler(meddle))
    assert not record["consistent"]
    assert "." in record["changed"]
    assert not list(store.glob(".making/*"))


def test_excluded_changes_are_no_inconsistency(top: Path, store: Path) -> None:
    make_tree(top)

    def meddle(look: int) -> None:
        (top / f"{look}.log").touch()

    record = create(task(top, store, exclude=["*.log"]), Meddler(meddle))
    assert record["consistent"]


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Lets an exception get in the way of the n-th change of a name."""

    def limit(number: int, exception: BaseException) -> None:
        count = 0
        for name in ("rename", "link"):
            original = getattr(os, name)

            def change(*arguments: Any, _original: Any = original, **options: Any) -> None:
                nonlocal count
                count += 1
                if count == number:
                    raise exception
                _original(*arguments, **options)

            monkeypatch.setattr(applying.os, name, change)

    return limit


def without_times(tree: dict[bytes, Any]) -> dict[bytes, Any]:
    """Directories without the times of their last change: what is undone has changed them, too."""
    return {
        path: (entry[0], entry[2]) if path != b"links" and stat.S_ISDIR(int(entry[0], 8)) else entry
        for path, entry in tree.items()
    }


STEPS = range(1, 28)
"""More steps than there are in the restores of these tests."""


@pytest.mark.parametrize("number", STEPS)
def test_an_error_in_the_middle_changes_nothing(
    top: Path, store: Path, limited: Callable[[int, BaseException], None], number: int
) -> None:
    make_tree(top)
    was = described(top)
    create(task(top, store), Meddler())
    spoil_tree(top)
    spoiled = described(top)
    before = without_times(spoiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", os.link)
        patch.setattr(os, "rename", os.rename)
        limited(number, OSError(errno.ENOSPC, "No space left on device"))
        try:
            restore(task(top, store), Meddler())
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert without_times(described(top)) == before
        else:
            assert described(top) == was
    assert not list(store.glob(".work/*"))


@pytest.mark.parametrize("number", STEPS)
def test_a_kill_in_the_middle_is_finished_by_the_next_start(
    top: Path,
    store: Path,
    limited: Callable[[int, BaseException], None],
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_tree(top)
    was = described(top)
    create(task(top, store), Meddler())
    spoil_tree(top)
    spoiled = described(top)
    # A killed program undoes nothing, and removes nothing.
    monkeypatch.setattr(applying.Application, "undo", lambda self: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", os.link)
        patch.setattr(os, "rename", os.rename)
        limited(number, Killed())
        try:
            restore(task(top, store), Meddler())
        except Killed:
            begun = len(list(top.glob(".toolbox-*/plan.json")))
            # Found by whoever starts next, whatever became of the checkpoint.
            assert len(list(store.glob(".work/*"))) == begun
        else:
            begun = 1
    monkeypatch.undo()
    assert sweep({"store": str(store), "begun": False}, Meddler()) == {"failed": []}
    expected = was if begun else spoiled
    assert without_times(described(top)) == without_times(expected)
    assert not [*store.glob(".work/*"), *top.glob(".toolbox-*")]


def test_a_restore_goes_on_while_others_remove_directories(top: Path, store: Path) -> None:
    make_tree(top)
    was = described(top)
    create(task(top, store), Meddler())
    (top / "src" / "run").unlink()

    def meddle(look: int) -> None:
        if look == 12 and (top / "src").exists():
            (top / "src").rename(top / "elsewhere")

    restore(task(top, store), Meddler(meddle))
    after = described(top)
    assert {path: after[path] for path in was if path in after and path != b"."} == {
        path: was[path] for path in was if path != b"."
    }


def helpers(service: Service) -> list[int]:
    """The helpers that are at work."""
    found = []
    for pid in descendants(service.process.pid):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"toolbox_checkpoints.helpers.main" in command:
            found.append(pid)
    return found


def many_files(top: Path, text: str) -> None:
    for number in range(3000):
        file = top / f"directory{number % 30}" / f"file{number}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def test_a_helper_that_is_killed_leaves_no_checkpoint(
    make_service: Callable[..., Service], top: Path
) -> None:
    service = make_service()
    many_files(top, "one")
    store = service.directory / "state" / "toolbox" / "checkpoints"
    with ThreadPoolExecutor() as threads:
        made = threads.submit(service.http.post, "/x/checkpoints", json={"path": str(top)})
        service.wait_for(lambda: list(store.glob(".making/*")) or made.done(), "the copy")
        for pid in helpers(service):
            os.kill(pid, signal.SIGKILL)
        status = made.result().status_code
    listed = service.http.get("/x/checkpoints").json()["checkpoints"]
    assert [one["complete"] for one in listed] == [status == 201]
    # Not only by the next start: its disk may be what the helper has filled.
    service.wait_for(lambda: not list(store.glob(".making/*")), "the sweep")


def test_an_upgrade_ends_what_is_being_made_and_says_so(service: Service, top: Path) -> None:
    many_files(top, "one")
    store = service.directory / "state" / "toolbox" / "checkpoints"
    made = service.http.post("/x/checkpoints?wait=0", json={"path": str(top)}).json()
    service.wait_for(lambda: helpers(service), "the helper")
    # Until the upgrade has come to it.
    for pid in helpers(service):
        os.kill(pid, signal.SIGSTOP)
    os.kill(service.process.pid, signal.SIGUSR2)

    def report() -> dict[str, Any]:
        return read_report(service.process.pid) or {}

    service.wait_for(lambda: report().get("state") in ("done", "failed"), "the upgrade")
    assert [(one["kind"], one["id"]) for one in report()["ended"]] == [("checkpoint", made["id"])]
    service.wait_for(lambda: not list(store.glob(".making/*")), "the sweep")
    assert service.http.get("/x/checkpoints").json()["checkpoints"] == []
    again = service.http.post("/x/checkpoints", json={"path": str(top)}).json()
    assert (again["complete"], again["files"]) == (True, 3000)


def test_a_restore_whose_helper_is_killed_is_finished_at_once(service: Service, top: Path) -> None:
    many_files(top, "one")
    was = described(top)
    checkpoint = service.http.post("/x/checkpoints", json={"path": str(top)}).json()
    many_files(top, "other")
    other = described(top)
    url = f"/x/checkpoints/{checkpoint['id']}"
    assert service.http.post(f"{url}/restore?wait=0").status_code in (200, 202)
    service.wait_for(lambda: list(top.glob(".toolbox-*/plan.json")) or not helpers(service))
    for pid in helpers(service):
        os.kill(pid, signal.SIGKILL)
    # Not by the next start: what others change meanwhile would be undone then.
    work = service.http.get(f"{url}?wait=60").json()["works"][0]
    assert work["complete"] or work["error"]
    assert not list(top.glob(".toolbox-*"))
    store = service.directory / "state" / "toolbox" / "checkpoints"
    assert not list(store.glob(".work/*"))
    assert without_times(described(top)) in (without_times(was), without_times(other))


def test_nothing_is_left_of_a_fork_that_is_killed(top: Path, store: Path, tmp_path: Path) -> None:
    make_tree(top)
    create(task(top, store), Meddler())
    with pytest.MonkeyPatch.context() as patch:
        # A killed program removes nothing.
        patch.setattr(restoring, "remove_tree", bool)
        patch.setattr(linking.HardLinks, "__exit__", lambda *_: None)
        patch.setattr(os, "rename", _killed)
        patch.setattr(Path, "rename", _killed)
        patch.setattr(Path, "unlink", bool)
        with pytest.raises(Killed):
            fork(task(top, store, target=str(tmp_path / "fork")), Meddler())
    assert len(list(tmp_path.glob(".toolbox-fork-*"))) == 2
    # Killed before the note had its text.
    (store / ".work" / f".toolbox-restore-{'0' * 32}").touch()
    assert sweep({"store": str(store), "begun": False}, Meddler()) == {"failed": []}
    assert not [*store.glob(".work/*"), *tmp_path.glob(".toolbox-*")]


def _killed(*_: object) -> None:
    raise Killed


def test_a_service_that_is_killed_leaves_no_half_tree(
    make_service: Callable[..., Service], top: Path
) -> None:
    service = make_service()
    many_files(top, "one")
    was = described(top)
    checkpoint = service.http.post("/x/checkpoints", json={"path": str(top)}).json()
    many_files(top, "other")
    other = described(top)
    store = service.directory / "state" / "toolbox" / "checkpoints"
    url = f"/x/checkpoints/{checkpoint['id']}/restore?wait=0"
    assert service.http.post(url).status_code in (200, 202)
    service.wait_for(lambda: list(top.glob(".toolbox-*/plan.json")) or not helpers(service))
    service.stop(signal.SIGKILL)
    settings = f'[checkpoints.local]\ndirectory = "{store}"\n'
    again = make_service(settings=settings)
    # The first request waits until everything is finished.
    url = f"/x/checkpoints/{checkpoint['id']}/diff"
    assert again.http.get(url).status_code == 200
    assert without_times(described(top)) in (without_times(was), without_times(other))
    assert not list(top.glob(".toolbox-*"))


def test_a_creation_is_cancelled_by_its_deletion(service: Service, top: Path) -> None:
    many_files(top, "one")
    made = service.http.post("/x/checkpoints?wait=0", json={"path": str(top)})
    assert made.status_code in (201, 202)
    identity = made.json()["id"]
    assert service.http.delete(f"/x/checkpoints/{identity}").status_code == 204
    assert service.http.get(f"/x/checkpoints/{identity}").status_code == 404
    store = service.directory / "state" / "toolbox" / "checkpoints"
    service.wait_for(lambda: not [*store.glob(".making/*"), *store.glob(".trash/*")])
    service.wait_for(lambda: helpers(service) == [], "the helper's end")


def test_a_work_goes_on_without_its_client(service: Service, top: Path) -> None:
    many_files(top, "one")
    made = service.http.post("/x/checkpoints?wait=0", json={"path": str(top)}).json()
    got = service.http.get(f"/x/checkpoints/{made['id']}?wait=60").json()
    assert got["complete"]
    assert got["files"] == 3000


def test_a_plan_that_leads_out_of_the_tree_is_none(top: Path, store: Path) -> None:
    """Its note is the service's, but what it names is where programs of the sandbox write."""
    (top.parent / "victim").write_text("stays")
    staging = top / f".toolbox-restore-{'0' * 32}"
    staging.mkdir()
    note = store / ".work" / staging.name
    note.parent.mkdir()
    note.write_text(json.dumps(str(top)))
    (staging / "plan.json").write_text(json.dumps([["../victim"], [], []]))
    sweep(task(top, store, begun=True), Meddler())
    assert (top.parent / "victim").read_text() == "stays"
    assert not staging.exists()
    assert not note.exists()

"""Checkpoints through a running service."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.linux.mounts import types_of
from toolbox.testing import Service

from .trees import described
from .trees import make_tree
from .trees import spoil_tree

MIB = 1024**2


@pytest.fixture
def top(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def create(service: Service, top: Path, **options: Any) -> dict[str, Any]:
    made = service.http.post("/x/checkpoints", json={"path": str(top), **options})
    assert made.status_code == 201, made.text
    checkpoint: dict[str, Any] = made.json()
    assert checkpoint["complete"]
    return checkpoint


def restore(service: Service, checkpoint: dict[str, Any], *paths: str) -> dict[str, Any]:
    url = f"/x/checkpoints/{checkpoint['id']}/restore"
    done = service.http.post(url, json={"paths": paths}) if paths else service.http.post(url)
    assert done.status_code == 200, done.text
    work: dict[str, Any] = done.json()
    assert work["complete"]
    assert work["error"] is None
    return work


def diff(service: Service, checkpoint: dict[str, Any], **query: Any) -> dict[str, Any]:
    got = service.http.get(f"/x/checkpoints/{checkpoint['id']}/diff", params=query)
    assert got.status_code == 200, got.text
    found: dict[str, Any] = got.json()
    return found


def changes(found: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["change"] for file in found["files"]}


def store_of(service: Service) -> Path:
    return service.directory / "state" / "toolbox" / "checkpoints"


def is_clean(store: Path) -> bool:
    """Nothing incomplete is left."""
    return not [*store.glob(".making/*"), *store.glob(".work/*"), *store.glob(".trash/*")]


def test_a_restore_makes_everything_what_it_was(service: Service, top: Path) -> None:
    make_tree(top)
    before = described(top)
    checkpoint = create(service, top, label="first")
    assert checkpoint["consistent"] is True
    assert (checkpoint["files"], checkpoint["directories"]) == (8, 4)
    assert diff(service, checkpoint)["total"] == 0

    inode = top.stat().st_ino
    spoil_tree(top)
    restore(service, checkpoint)
    assert described(top) == before
    # Shells that are in it stay in it.
    assert top.stat().st_ino == inode
    # The hole is there again.
    assert (top / "sparse").stat().st_blocks * 512 < MIB
    assert sorted(file.name for file in top.iterdir() if "toolbox" in file.name) == []
    work = service.http.get(f"/x/checkpoints/{checkpoint['id']}").json()["works"][-1]
    assert (work["kind"], work["complete"]) == ("restore", True)


def test_a_restore_of_a_removed_directory(service: Service, top: Path) -> None:
    make_tree(top)
    before = described(top)
    checkpoint = create(service, top)
    subprocess.run(["rm", "-r", top], check=True)
    restore(service, checkpoint)
    assert described(top) == before


def test_hard_links_are_made_again(service: Service, top: Path) -> None:
    (top / "a").mkdir()
    for name in ("a/one", "other", "third"):
        (top / name).write_text(name)
    (top / "a" / "two").hardlink_to(top / "a" / "one")
    (top / "three").hardlink_to(top / "a" / "one")
    before = described(top)
    checkpoint = create(service, top)
    # A name less, and two files that are one.
    (top / "a" / "two").unlink()
    (top / "third").unlink()
    (top / "third").hardlink_to(top / "other")
    restore(service, checkpoint)
    assert described(top) == before
    subprocess.run(["rm", "-r", top / "a"], check=True)
    restore(service, checkpoint)
    assert described(top) == before


def test_extended_attributes_are_kept(service: Service, top: Path) -> None:
    file = top / "file"
    file.write_text("text")
    try:
        os.setxattr(file, "user.note", b"\0note")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    checkpoint = create(service, top)
    os.setxattr(file, "user.note", b"other")
    restore(service, checkpoint)
    assert os.getxattr(file, "user.note") == b"\0note"


def test_pipes_and_sockets_are_counted_and_stay(service: Service, top: Path) -> None:
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    (top / "file").touch()
    checkpoint = create(service, top)
    assert checkpoint["files"] == 1
    assert {reason: n for reason, n in checkpoint["skipped"].items() if n} == {
        "fifos": 1,
        "sockets": 1,
    }
    (top / "file").unlink()
    restore(service, checkpoint)
    assert sorted(os.listdir(top)) == ["fifo", "file", "socket"]


def test_excluded_files_stay_as_they_are(service: Service, top: Path) -> None:
    make_tree(top)
    (top / "node_modules" / "library").mkdir(parents=True)
    (top / "src" / "server.log").write_text("one")
    checkpoint = create(service, top, exclude=["node_modules/", "*.log", "!keep.log"])
    assert checkpoint["skipped"]["excluded"] == 2
    (top / "node_modules" / "new").write_text("new")
    (top / "src" / "server.log").write_text("two")
    (top / "added" / "below").mkdir(parents=True)
    (top / "added" / "below" / "some.log").write_text("in a directory that is new")
    (top / "added" / "file").write_text("goes")
    (top / "keep.log").write_text("is not excluded")
    assert changes(diff(service, checkpoint)).keys() == {
        *("added", "added/below", "added/file", "keep.log")
    }
    restore(service, checkpoint)
    assert (top / "node_modules" / "new").read_text() == "new"
    assert (top / "src" / "server.log").read_text() == "two"
    assert (top / "added" / "below" / "some.log").exists()
    assert not (top / "added" / "file").exists()
    assert not (top / "keep.log").exists()


def test_an_excluded_file_in_the_way_is_a_conflict(service: Service, top: Path) -> None:
    (top / "build").write_text("a file")
    checkpoint = create(service, top, exclude=["*.log"])
    (top / "build").unlink()
    (top / "build").mkdir()
    (top / "build" / "make.log").write_text("precious")
    refused = service.http.post(f"/x/checkpoints/{checkpoint['id']}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "CHECKPOINT_CONFLICT")
    assert (top / "build" / "make.log").read_text() == "precious"


def test_the_diff_is_one_that_git_reverts(service: Service, top: Path, tmp_path: Path) -> None:
    make_tree(top)
    (top / "crlf").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    (top / "form").write_text("a\fb\nc\u2028d\nlast")
    (top / "many").write_text("".join(f"{number}\n" for number in range(3000)))
    checkpoint = create(service, top)
    before = described(top)
    (top / "src" / "main.py").write_text("print('one')\nprint('2')")
    (top / "src" / "run").chmod(0o644)
    (top / "crlf").write_bytes(b"one\r\n2\r\nthree\r\n")
    (top / "form").write_text("a\fb\nc\u2028e\nlast\n")
    (top / "many").write_text("".join(f"{number * 7 % 3001}\n" for number in range(3000)))
    (top / "new file").write_text("new\n")
    (top / "src" / "deep" / "data.bin").write_bytes(b"\0other")
    found = diff(service, checkpoint)
    assert changes(found) == {
        "crlf": "changed",
        "form": "changed",
        "many": "changed",
        "new file": "added",
        "src/deep/data.bin": "changed",
        "src/main.py": "changed",
        "src/run": "mode",
        "twin": "changed",
    }
    assert "Binary files a/src/deep/data.bin and b/src/deep/data.bin differ\n" in found["diff"]
    assert not found["truncated"]
    text = found["diff"].split("diff --git ")
    patch = tmp_path / "patch"
    # Both names of the file have changed; the second can't be reverted again. Git has no binary.
    parts = [part for part in text if part and "Binary" not in part and "a/twin" not in part]
    patch.write_bytes("".join(f"diff --git {part}" for part in parts).encode())
    run = subprocess.run(
        ["git", "apply", "-R", "--whitespace=nowarn", patch], cwd=top, capture_output=True
    )
    assert run.returncode == 0, run.stderr
    after = described(top)
    for name in (b"crlf", b"form", b"many", b"src/main.py"):
        assert after[name][2] == before[name][2]
    assert os.access(top / "src" / "run", os.X_OK)
    assert not (top / "new file").exists()


@pytest.mark.parametrize(
    "name", [b"a b", b"a\nb", b"a\tb ", b'a"b', b"a\\b", b"a\xe9b", "é".encode()]
)
def test_git_reverts_a_diff_of_any_names(
    service: Service, top: Path, tmp_path: Path, name: bytes
) -> None:
    changed, added = (top / os.fsdecode(name + end) for end in (b"", b"2"))
    changed.write_text("one\n")
    link = top / "link"
    link.symlink_to("x")
    checkpoint = create(service, top)
    changed.write_text("two\n")
    added.write_text("new\n")
    link.unlink()
    link.symlink_to("a\nb")
    patch = tmp_path / "patch"
    patch.write_text(diff(service, checkpoint)["diff"])
    run = subprocess.run(["git", "apply", "-R", patch], cwd=top, capture_output=True)
    assert run.returncode == 0, run.stderr
    assert (changed.read_text(), added.exists()) == ("one\n", False)
    assert os.readlink(link) == "x"
    # Bytes that are no text are not shown as others.
    link.unlink()
    link.symlink_to(os.fsdecode(b"\xe9"))
    assert "Binary files a/link and b/link differ\n" in diff(service, checkpoint)["diff"]


def test_a_diff_is_bounded_and_can_be_narrowed(service: Service, top: Path) -> None:
    make_tree(top)
    checkpoint = create(service, top)
    for number in range(20):
        (top / f"file{number:02}").write_text("line\n" * 100)
    found = diff(service, checkpoint, files=5, bytes=1500)
    assert (len(found["files"]), found["total"], found["truncated"]) == (5, 20, True)
    assert 0 < len(found["diff"]) <= 1500
    assert changes(diff(service, checkpoint, path="file07")) == {"file07": "added"}
    second = create(service, top)
    found = diff(service, checkpoint, against=second["id"], path="file19")
    assert changes(found) == {"file19": "added"}
    assert diff(service, second, path="src")["total"] == 0


def test_single_paths_are_restored(service: Service, top: Path) -> None:
    make_tree(top)
    before = described(top)
    checkpoint = create(service, top)
    spoil_tree(top)
    restore(service, checkpoint, "src/deep/data.bin", "./empty/")
    after = described(top)
    for name in (b"src/deep/data.bin", b"empty"):
        assert after[name] == before[name]
    assert (top / "src" / "main.py").read_text().endswith("print('three')")
    assert (top / "new" / "below" / "file").exists()
    # What wasn't there is removed, and nothing beside it.
    (top / "new" / "other").write_text("stays")
    restore(service, checkpoint, "new/below/file")
    assert not (top / "new" / "below" / "file").exists()
    assert (top / "new" / "other").exists()
    url = f"/x/checkpoints/{checkpoint['id']}/restore"
    missing = service.http.post(url, json={"paths": ["src/nothing"]})
    assert (missing.status_code, missing.json()["code"]) == (404, "CHECKPOINT_PATH_NOT_FOUND")


def test_a_fork_is_a_whole_copy(service: Service, top: Path, tmp_path: Path) -> None:
    make_tree(top)
    checkpoint = create(service, top)
    # The names that checkpoints share are no hard links of the files.
    assert create(service, top)["stored"] < 64 * 1024
    before = described(top)
    url = f"/x/checkpoints/{checkpoint['id']}/fork"
    for name in ("fork", "there"):
        (tmp_path / "there").mkdir(exist_ok=True)
        done = service.http.post(url, json={"path": str(tmp_path / name)})
        assert done.status_code == 200, done.text
        assert described(tmp_path / name) == before
    (tmp_path / "fork" / "src" / "run").write_text("other")
    assert described(top) == before
    assert diff(service, checkpoint)["total"] == 0
    (tmp_path / "file").touch()
    (tmp_path / "symlink").symlink_to("there")
    for name in ("there", "file", "symlink"):
        refused = service.http.post(url, json={"path": str(tmp_path / name)})
        assert (refused.status_code, refused.json()["code"]) == (409, "CHECKPOINT_CONFLICT")
    refused = service.http.post(url, json={"path": str(tmp_path / "none" / "fork")})
    assert refused.status_code == 404


def test_unchanged_files_are_shared_and_outlive_each_other(service: Service, top: Path) -> None:
    (top / "big").write_bytes(os.urandom(MIB))
    (top / "small").write_text("one")
    first = create(service, top)
    (top / "small").write_text("two")
    second = create(service, top)
    assert first["stored"] >= MIB
    assert second["stored"] < MIB
    assert changes(diff(service, first, against=second["id"])) == {"small": "changed"}
    assert service.http.delete(f"/x/checkpoints/{first['id']}").status_code == 204
    store = store_of(service)
    service.wait_for(lambda: is_clean(store), "the removal")
    # What was the first one's is the second one's now.
    assert service.http.get(f"/x/checkpoints/{second['id']}").json()["stored"] >= MIB
    content = (top / "big").read_bytes()
    (top / "big").write_text("gone")
    restore(service, second)
    assert (top / "big").read_bytes() == content


def test_a_damaged_record_spoils_no_other(service: Service, top: Path) -> None:
    (top / "file").write_text("text")
    damaged, whole = (create(service, top)["id"] for _ in range(2))
    store = service.directory / "state" / "toolbox" / "checkpoints"
    (store / damaged / "record.json").write_text('{"id": 1}')
    listed = service.http.get("/x/checkpoints").json()["checkpoints"]
    assert damaged not in [one["id"] for one in listed]
    assert whole in [one["id"] for one in listed]
    assert service.http.get(f"/x/checkpoints/{damaged}").status_code == 404
    # Its directory is not lost for ever, and what shares with it isn't either.
    for identity in (create(service, top)["id"], damaged, whole):
        assert service.http.delete(f"/x/checkpoints/{identity}").status_code == 204
    service.wait_for(lambda: not list(store.glob(".trash/*")), "the sweep")


MANIFESTS = (
    b"",
    b"{",
    b"[]",
    b'{"device": 1, "directories": [], "linked": {}}',
    b'{"device": 1, "directories": {"": {"file": 7}}, "linked": {}}',
    b'{"device": 1, "directories": {"": {"file": ["x", null]}}, "linked": {}}',
    b'{"device": "x", "directories": {}, "linked": {"": null}}',
    b"[" * 100_000,
)


def test_a_damaged_checkpoint_is_a_clear_error(service: Service, top: Path) -> None:
    (top / "file").write_text("text")
    (top / "twin").hardlink_to(top / "file")
    damaged, whole = (create(service, top)["id"] for _ in range(2))
    path = store_of(service) / damaged
    good = (path / "manifest.json").read_bytes()
    url = f"/x/checkpoints/{damaged}"

    def refuse() -> None:
        for response in (
            service.http.get(f"{url}/diff"),
            service.http.post(f"{url}/restore"),
            service.http.post(f"{url}/fork", json={"path": str(top.with_name("fork"))}),
        ):
            assert response.status_code == 409, response.text
            assert response.json()["code"] == "CHECKPOINT_DAMAGED"
            assert "damaged" in response.json()["message"]

    for content in MANIFESTS:
        (path / "manifest.json").write_bytes(content)
        refuse()
    (path / "manifest.json").unlink()
    refuse()
    (path / "manifest.json").write_bytes(good)
    (path / "tree").rename(path / "gone")
    refuse()
    record = json.loads((path / "record.json").read_bytes())
    for change in ({"files": "many"}, {"created": None}, {"path": 7}, {"id": whole}):
        (path / "record.json").write_text(json.dumps(record | change))
        listed = service.http.get("/x/checkpoints").json()["checkpoints"]
        assert {one["id"] for one in listed} & {whole, damaged} == {whole}
        assert service.http.get(url).status_code == 404
    # The others can be used, and the next is made without it.
    assert (top / "file").read_text() == "text"
    restore(service, {"id": whole})
    (store_of(service) / whole / "manifest.json").write_bytes(b"{")
    create(service, top)
    assert service.http.delete(url).status_code == 204


def test_a_checkpoint_that_has_lost_a_file_removes_none(service: Service, top: Path) -> None:
    for name in ("kept", "lost", "below/lost"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(name)
    (top / "empty").mkdir()
    whole, *damaged = (create(service, top)["id"] for _ in range(4))
    for identity, name in zip(damaged, ("lost", "below/lost", "empty"), strict=True):
        lost = store_of(service) / identity / "tree" / name
        lost.rmdir() if lost.is_dir() else lost.unlink()
        refused = service.http.post(f"/x/checkpoints/{identity}/restore")
        assert refused.status_code == 409, refused.text
        assert refused.json()["code"] == "CHECKPOINT_DAMAGED"
        assert name in refused.json()["message"]
        assert (top / name).exists()
    url, fork = f"/x/checkpoints/{damaged[1]}", top.with_name("fork")
    for response in (
        service.http.get(f"{url}/diff"),
        service.http.get(f"/x/checkpoints/{whole}/diff", params={"against": damaged[1]}),
        service.http.post(f"{url}/fork", json={"path": str(fork)}),
    ):
        assert response.status_code == 409, response.text
        assert response.json()["code"] == "CHECKPOINT_DAMAGED"
    assert not fork.exists()
    # There is still what it has.
    (top / "kept").write_text("changed")
    restore(service, {"id": damaged[1]}, "kept")
    assert (top / "kept").read_text() == "kept"


def test_the_oldest_are_deleted(make_service: Callable[..., Service], top: Path) -> None:
    service = make_service(settings="[checkpoints.local]\nkeep = 2\n")
    (top / "file").touch()
    ids = [create(service, top)["id"] for _ in range(4)]
    listed = service.http.get("/x/checkpoints").json()["checkpoints"]
    assert [checkpoint["id"] for checkpoint in listed] == ids[2:]
    assert service.http.get(f"/x/checkpoints/{ids[0]}").status_code == 404
    # Another service finds them.
    state = {"XDG_STATE_HOME": str(service.directory / "state")}
    settings = f'[checkpoints.local]\ndirectory = "{store_of(service)}"\n'
    other = make_service(settings=settings, env=state)
    assert other.http.get(f"/x/checkpoints/{ids[3]}").json()["complete"]


def test_more_than_the_bound_is_refused_and_leaves_nothing(
    make_service: Callable[..., Service], top: Path
) -> None:
    service = make_service(settings="[checkpoints.local]\nmax_bytes = 3000000\n")
    (top / "one").write_bytes(os.urandom(2 * MIB))
    checkpoint = create(service, top)
    (top / "two").write_bytes(os.urandom(2 * MIB))
    refused = service.http.post("/x/checkpoints", json={"path": str(top)})
    assert (refused.status_code, refused.json()["code"]) == (507, "CHECKPOINTS_FULL")
    store = store_of(service)
    assert is_clean(store)
    # It is shown until it is deleted, or forgotten.
    failed = service.http.get("/x/checkpoints").json()["checkpoints"][1]
    assert not failed["complete"]
    assert "max_bytes" in failed["error"]
    assert service.http.delete(f"/x/checkpoints/{failed['id']}").status_code == 204
    listed = service.http.get("/x/checkpoints").json()["checkpoints"]
    assert [one["id"] for one in listed] == [checkpoint["id"]]


def test_a_full_disk_leaves_nothing_and_changes_nothing(
    make_service: Callable[..., Service], top: Path, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(4)
    service = make_service(settings=f'[checkpoints.local]\ndirectory = "{disk}/store"\n')
    (top / "file").write_bytes(os.urandom(8 * MIB))
    full = service.http.post("/x/checkpoints", json={"path": str(top)})
    assert (full.status_code, full.json()["code"]) == (507, "CHECKPOINTS_FULL")
    assert is_clean(disk / "store")
    assert subprocess.run(["du", "-sm", disk], capture_output=True).stdout.split()[0] in (
        b"0",
        b"1",
    )


def test_a_restore_on_a_full_disk_changes_nothing(
    service: Service, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(8)
    (disk / "one").write_bytes(os.urandom(3 * MIB))
    (disk / "two").write_text("two")
    checkpoint = create(service, disk)
    (disk / "one").unlink()
    (disk / "two").write_text("other")
    (disk / "fill").write_bytes(bytes(6 * MIB))
    before = described(disk)
    full = service.http.post(f"/x/checkpoints/{checkpoint['id']}/restore")
    assert (full.status_code, full.json()["code"]) == (507, "CHECKPOINTS_FULL")
    after = described(disk)
    assert {path: after[path][2] for path in after if path not in (b".", b"links")} == {
        path: before[path][2] for path in before if path not in (b".", b"links")
    }


def test_the_store_may_be_inside(make_service: Callable[..., Service], top: Path) -> None:
    store = top / ".state" / "checkpoints"
    service = make_service(settings=f'[checkpoints.local]\ndirectory = "{store}"\n')
    (top / "file").write_text("one")
    checkpoint = create(service, top)
    again = create(service, top)
    assert again["files"] == 1
    (top / "file").write_text("two")
    restore(service, checkpoint)
    assert (top / "file").read_text() == "one"
    assert service.http.get(f"/x/checkpoints/{again['id']}").json()["complete"]
    for path in (store, store / checkpoint["id"] / "tree"):
        refused = service.http.post("/x/checkpoints", json={"path": str(path)})
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_CHECKPOINT_PATH")
    url = f"/x/checkpoints/{checkpoint['id']}/fork"
    assert service.http.post(url, json={"path": str(store / "fork")}).status_code == 400


def test_a_symlink_is_the_directory_that_it_leads_to(
    service: Service, top: Path, tmp_path: Path
) -> None:
    (top / "file").write_text("one")
    (tmp_path / "way").symlink_to(top)
    checkpoint = create(service, tmp_path / "way")
    assert checkpoint["path"] == str(top)
    # The directory is restored, wherever the link leads now.
    (tmp_path / "way").unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").touch()
    (tmp_path / "way").symlink_to("elsewhere")
    (top / "file").write_text("two")
    restore(service, checkpoint)
    assert (top / "file").read_text() == "one"
    assert (tmp_path / "elsewhere" / "mine").exists()
    # A link in its place is no directory to restore.
    top.rename(tmp_path / "moved")
    top.symlink_to("elsewhere")
    refused = service.http.post(f"/x/checkpoints/{checkpoint['id']}/restore")
    assert (refused.status_code, refused.json()["code"]) == (409, "CHECKPOINT_CONFLICT")
    assert (tmp_path / "elsewhere" / "mine").exists()


def test_other_file_systems_are_left_alone(
    service: Service, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(4)
    (disk / "file").write_text("of another file system")
    top = disk.parent
    checkpoint = create(service, top)
    assert checkpoint["skipped"]["mounts"] == 1
    (top / "new").touch()
    restore(service, checkpoint)
    assert not (top / "new").exists()
    assert (disk / "file").read_text() == "of another file system"


@pytest.fixture
def bound_by_modes(make_service: Callable[..., Service]) -> Service:
    """A service that may not read what modes forbid, as root may."""
    if os.geteuid() != 0:
        return make_service()
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    without = "-dac_override,-dac_read_search"
    wrapper = ("setpriv", f"--bounding-set={without}", f"--inh-caps={without}")
    return make_service(wrapper=wrapper)


@pytest.mark.parametrize(
    ("closed", "mode"),
    [("a/deep/closed", 0), ("closed", 0o100), ("a/b/file", 0), (f"a/{'x' * 240}/{'y' * 240}/z", 0)],
)
def test_what_may_not_be_read_is_named(
    bound_by_modes: Service, top: Path, closed: str, mode: int
) -> None:
    service = bound_by_modes
    (top / "kept").write_text("one")
    path = top / closed
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch() if closed.endswith("file") else path.mkdir()
    path.chmod(mode)
    for number in range(20):  # So many that another process may be the one that finds it.
        (top / f"other{number}").mkdir()
    refused = service.http.post("/x/checkpoints", json={"path": str(top)})
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    message = refused.json()["message"]
    assert message.startswith(f"{path}: Permission denied; exclude leaves out")
    assert is_clean(store_of(service))
    # Which is true.
    checkpoint = create(service, top, exclude=[f"/{closed}"])
    assert (checkpoint["files"], checkpoint["skipped"]["excluded"]) == (1, 1)
    (top / "kept").write_text("two")
    restore(service, checkpoint)
    assert (top / "kept").read_text() == "one"
    assert path.exists()
    path.chmod(0o700)


def test_a_directory_that_may_not_be_compared_is_named(bound_by_modes: Service, top: Path) -> None:
    service = bound_by_modes
    (top / "a" / "closed").mkdir(parents=True)
    checkpoint = create(service, top)
    (top / "a" / "closed").chmod(0)
    refused = service.http.get(f"/x/checkpoints/{checkpoint['id']}/diff")
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert refused.json()["message"] == "a/closed: Permission denied"
    (top / "a" / "closed").chmod(0o700)


BAD_CREATIONS = {
    "no body": (None, 400),
    "no path": ({}, 400),
    "empty": ({"path": ""}, 400),
    "a NUL": ({"path": "a\0b"}, 400),
    "nothing there": ({"path": "/nowhere/at/all"}, 404),
    "a file": ({"path": "/etc/passwd"}, 400),
    "below a file": ({"path": "/etc/passwd/x"}, 404),
    "the root": ({"path": "/"}, 400),
    "the root by a link": ({"path": "/proc/self/root"}, 400),
    "too long": ({"path": "/tmp/" + "x" * 300}, 404),
    "far too long": ({"path": "x" * 5000}, 400),
    "a number": ({"path": 7}, 400),
    "no list": ({"path": "/tmp", "exclude": "a"}, 400),
    "a long label": ({"path": "/tmp", "label": "x" * 300}, 400),
    "a NUL to exclude": ({"path": "/tmp", "exclude": ["a\0b"]}, 400),
}


@pytest.mark.parametrize("case", BAD_CREATIONS)
def test_bad_creations_are_refused(service: Service, case: str) -> None:
    body, status = BAD_CREATIONS[case]
    refused = service.http.post("/x/checkpoints", json=body)
    assert refused.status_code == status, refused.text
    assert refused.json()["code"]


BAD_IDS = ["0" * 32, "..", "%2e%2e", ".making", "a" * 3000, "%00", "%2Fetc", "A" * 32, "\u00e9"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/proc", "proc"), ("/proc/self/task", "proc"), ("/sys", "sysfs"), ("/dev/pts", "devpts")],
)
def test_file_systems_of_the_kernel_are_refused(
    service: Service, top: Path, path: str, kind: str
) -> None:
    if kind not in types_of(Path(path)):
        pytest.skip(f"{path} is something else here")
    (top / "way").symlink_to(path)
    for given in (path, str(top / "way")):
        refused = service.http.post("/x/checkpoints", json={"path": given})
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_CHECKPOINT_PATH")
        message = refused.json()["message"]
        assert message.startswith(f"{given} is on a file system of the kernel ({kind})")
    (top / "way").unlink()
    fork = f"/x/checkpoints/{create(service, top)['id']}/fork"
    refused = service.http.post(fork, json={"path": f"{path}/fork"})
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_CHECKPOINT_PATH")
    assert f"({kind})" in refused.json()["message"]


@pytest.mark.parametrize("identity", BAD_IDS)
def test_an_id_is_no_path(service: Service, identity: str) -> None:
    for method, below in (
        *(("GET", ""), ("DELETE", ""), ("GET", "/diff"), ("POST", "/restore")),
        ("POST", "/fork"),
    ):
        body = {"path": "/tmp/never"} if below == "/fork" else None
        url = f"/x/checkpoints/{identity}{below}"
        refused = service.http.request(method, httpx.URL(service.url + url), json=body)
        assert refused.status_code in (400, 404), refused.text


def test_bad_queries_are_refused(service: Service, top: Path) -> None:
    checkpoint = create(service, top)
    url = f"/x/checkpoints/{checkpoint['id']}"
    for path in ("../x", "/etc", "a/../../b"):
        got = service.http.get(f"{url}/diff", params={"path": path})
        assert (got.status_code, got.json()["code"]) == (400, "INVALID_CHECKPOINT_PATH")
        assert service.http.post(f"{url}/restore", json={"paths": [path]}).status_code == 400
    for query in ({"files": 0}, {"bytes": -1}, {"bytes": 10**30}, {"files": "x"}):
        assert service.http.get(f"{url}/diff", params=query).status_code == 400
    assert service.http.get(url, params={"wait": "nan"}).status_code == 400
    got = service.http.get(f"{url}/diff", params={"against": "0" * 32})
    assert (got.status_code, got.json()["code"]) == (404, "CHECKPOINT_NOT_FOUND")
    assert service.http.post(f"{url}/fork", json={"path": ".."}).status_code == 400


def test_many_at_once(service: Service, top: Path) -> None:
    make_tree(top)
    before = described(top)
    body = {"path": str(top), "label": "many"}

    def make(_: int) -> tuple[int, str]:
        made = service.http.post("/x/checkpoints", json=body)
        return made.status_code, made.json().get("id", "")

    with ThreadPoolExecutor(30) as threads:
        results = list(threads.map(make, range(60)))
    assert {status for status, _ in results} <= {201, 429}
    made = {identity for status, identity in results if status == 201}
    listed = service.http.get("/x/checkpoints").json()["checkpoints"]
    assert {one["id"] for one in listed if one["label"] == "many"} == made
    spoil_tree(top)
    restore(service, {"id": made.pop()})
    assert described(top) == before
    assert is_clean(store_of(service))


DIRECTORIES, FILES = 50, int(os.environ.get("TOOLBOX_TEST_FILES", "50000")) // 50
"""Half a minute of two cores, most of it to make and delete the files."""
HOT = 8


def write_in_turn(files: list[int], stop: threading.Event) -> None:
    """Write 1, 2, 3 ... to all files, to each after the one before it."""
    number = 0
    while not stop.is_set():
        number += 1
        for file in files:
            os.pwrite(file, b"%09d" % number, 0)


def test_thousands_of_files_while_some_change(service: Service, top: Path) -> None:
    """It is of one moment, or says of what not."""
    for number in range(DIRECTORIES):
        directory = top / "node_modules" / f"{number:03}"
        directory.mkdir(parents=True)
        for name in range(FILES):
            (directory / f"{name:03}.js").write_text(f"{number} {name}\n")
    # At both ends of the order in which directories are copied.
    ends = (0, DIRECTORIES - 1)
    hot = [f"node_modules/{ends[number % 2]:03}/hot{number}" for number in range(HOT)]
    stop = threading.Event()
    with contextlib.ExitStack() as cleanup:
        files = []
        for path in hot:
            file = cleanup.enter_context((top / path).open("wb", buffering=0))
            file.write(b"%09d" % 0)
            files.append(file.fileno())
        writer = threading.Thread(target=write_in_turn, args=(files, stop))
        writer.start()
        cleanup.callback(writer.join)
        cleanup.callback(stop.set)
        checkpoint = create(service, top)
    assert checkpoint["files"] == DIRECTORIES * FILES + HOT
    tree = store_of(service) / checkpoint["id"] / "tree"
    numbers = [int((tree / name).read_bytes()) for name in hot]
    if checkpoint["consistent"]:
        # They are written in this order, so that at any moment:
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[0] - numbers[-1] <= 1
    else:
        assert checkpoint["changedCount"] == len(checkpoint["changed"]) > 0
        assert set(checkpoint["changed"]) <= set(hot)
    # All others are right in either case, and all when nothing changes any more.
    changed = {file["path"] for file in diff(service, checkpoint)["files"]}
    assert changed <= set(hot)
    still = create(service, top)
    assert (still["consistent"], still["changed"]) == (True, [])
    assert diff(service, still)["total"] == 0


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not installed")
def test_a_launcher_that_isolates_hides_the_checkpoints(
    make_service: Callable[..., Service], top: Path
) -> None:
    """Helpers do what is written there, with the rights of the service."""
    service = make_service(settings='[process.local]\nlauncher = "bubblewrap"\n')
    store = store_of(service)
    (top / "file").write_text("kept")
    look = (
        f"read line; ls -A {store}; rm -rf {store}/*; mkdir -p {store}/.work; touch {store}/.work/x"
    )
    job = service.http.post("/x/jobs", json={"command": look, "stdin": True}).json()
    checkpoint = create(service, top)
    later = service.http.post("/x/jobs?wait=60", json={"command": f"echo | ({look})"}).json()
    service.http.post(f"/x/jobs/{job['id']}/stdin", content=b"go\n").raise_for_status()
    earlier = service.http.get(f"/x/jobs/{job['id']}/wait").json()
    assert (later["exitCode"], earlier["exitCode"]) == (0, 0), (later, earlier)
    (top / "file").unlink()
    restore(service, checkpoint)
    assert (top / "file").read_text() == "kept"
    assert is_clean(store)

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.filenames import decode_name
from toolbox.testing import Service

ROOT = os.getuid() == 0
NAMES = [b"a b", b"quote\"'", b"new\nline", "\N{PILE OF POO}".encode(), b"\xff\x80", b"n" * 255]


def post(service: Service, operation: str, **query: object) -> Any:
    params = {name: str(value) for name, value in query.items()}
    return service.http.post(f"/files/{operation}", params=params)


def delete(service: Service, path: Path | str, **query: str) -> Any:
    return service.http.delete("/files", params={"path": str(path), **query})


def outcome(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A directory on another file system than the tests' own."""
    path = Path(f"/dev/shm/toolbox-test-{os.getpid()}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


# Folders


@pytest.mark.parametrize(
    ("text", "bits"), [("755", 0o755), ("0700", 0o700), ("0000750", 0o750), ("2755", 0o2755)]
)
def test_folders_are_made_with_their_parents(
    service: Service, tmp_path: Path, text: str, bits: int
) -> None:
    answer = post(service, "folder", path=tmp_path / "a" / "b", mode=text)
    assert (answer.status_code, answer.content) == (201, b"")
    assert mode(tmp_path / "a" / "b") == bits
    assert mode(tmp_path / "a") == bits & 0o777


def test_the_umask_holds_for_folders(make_service: Callable[..., Service], tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        service = make_service()
    finally:
        os.umask(before)
    assert post(service, "folder", path=tmp_path / "new", mode="777").status_code == 201
    assert mode(tmp_path / "new") == 0o750


def test_an_empty_mode_is_none(service: Service, tmp_path: Path) -> None:
    # F-C17
    assert post(service, "folder", path=tmp_path / "new", mode="").status_code == 201
    assert mode(tmp_path / "new") & 0o700 == 0o700
    (tmp_path / "file").touch(0o640)
    before = mode(tmp_path / "file")
    assert post(service, "permissions", path=tmp_path / "file", mode="").status_code == 200
    assert mode(tmp_path / "file") == before


def test_a_folder_needs_no_mode_and_may_be_there_already(service: Service, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(0o700)
    assert post(service, "folder", path=tmp_path / "new").status_code == 201
    # F-C17: an empty one is none.
    assert post(service, "folder", path=tmp_path / "empty", mode="").status_code == 201
    assert mode(tmp_path / "empty") == 0o755
    assert post(service, "folder", path=tmp_path / "there").status_code == 201
    assert (mode(tmp_path / "new"), mode(tmp_path / "there")) == (0o755, 0o700)


@pytest.mark.parametrize("text", ["0o755", "rwx", "-1", "8", "77777", " 755", "\u0667"])
def test_wrong_modes_are_refused_before_anything_is_made(
    service: Service, tmp_path: Path, text: str
) -> None:
    assert outcome(post(service, "folder", path=tmp_path / "new", mode=text))[0] == 400
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["file", "file/below", "file/below/deeper", "dangling"])
def test_a_folder_can_not_be_where_a_file_is(service: Service, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("absent")
    answer = post(service, "folder", path=f"{tmp_path}/{name}")
    assert outcome(answer) == (400, "INVALID_FILE_PATH")


# Deleting


@pytest.mark.parametrize("path", ["/files", "/files/"])
def test_ac_60_both_slash_forms_delete(service: Service, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    answer = service.http.delete(path, params={"path": str(tmp_path / "file")})
    assert (answer.status_code, answer.content) == (204, b"")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("recursive", [None, "false", "True", "1"])
def test_directories_need_recursive_empty_ones_too(
    service: Service, tmp_path: Path, recursive: str | None
) -> None:
    (tmp_path / "empty").mkdir()
    query = {} if recursive is None else {"recursive": recursive}
    assert outcome(delete(service, tmp_path / "empty", **query)) == (400, "INVALID_FILE_PATH")
    assert (tmp_path / "empty").exists()


def test_a_tree_is_deleted_and_nothing_behind_its_links(service: Service, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").touch()
    (tree / "link").symlink_to(tmp_path / "kept")
    (tree / "dangling").symlink_to("absent")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tree / "socket"))
    assert delete(service, tree, recursive="true").status_code == 204
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]


def test_a_tree_deeper_than_paths_are_long_is_deleted(service: Service, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deep", dir_fd=fd)
        below = os.open("deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    try:
        assert delete(service, tmp_path / "deep", recursive="true").status_code == 204
        assert list(tmp_path.iterdir()) == []
    finally:
        # Pytest itself can't delete such a tree.
        subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)


def test_of_a_link_only_the_link_is_deleted(service: Service, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "to-dir").symlink_to("dir")
    (tmp_path / "dangling").symlink_to("absent")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("to-dir", "dangling", "loop"):
        assert delete(service, tmp_path / name).status_code == 204
    assert [path.name for path in tmp_path.iterdir()] == ["dir"]


@pytest.mark.parametrize("path", ["/", "//", ".", "..", "sub/..", "sub/."])
def test_the_root_and_dots_are_never_deleted(service: Service, path: str) -> None:
    (service.work_dir / "sub").mkdir(exist_ok=True)
    answer = delete(service, path, recursive="true")
    assert outcome(answer) == (400, "INVALID_FILE_PATH")
    assert service.work_dir.exists()


def test_what_is_not_there_can_not_be_deleted(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert outcome(delete(service, tmp_path / "absent")) == (404, "FILE_NOT_FOUND")
    assert outcome(delete(service, tmp_path / "file" / "x")) == (400, "INVALID_FILE_PATH")
    assert outcome(delete(service, f"{tmp_path}/a\0b")) == (400, "INVALID_FILE_PATH")
    assert service.http.delete("/files").status_code == 400


# Moving


def move(service: Service, source: Path | str, destination: Path | str) -> Any:
    return post(service, "move", source=source, destination=destination)


def test_files_directories_and_links_are_moved(service: Service, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("absent")
    answer = move(service, tmp_path / "dir", tmp_path / "moved")
    assert (answer.status_code, answer.content) == (200, b"")
    assert move(service, tmp_path / "link", tmp_path / "moved" / "link").status_code == 200
    assert (tmp_path / "moved" / "file").read_bytes() == b"x"
    assert (tmp_path / "moved" / "link").readlink() == Path("absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved"]


def test_nothing_is_overwritten_by_a_move(service: Service, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    (tmp_path / "dir").mkdir()
    (tmp_path / "dangling").symlink_to("absent")
    for name in ("a", "b", "dir", "dangling"):
        assert outcome(move(service, tmp_path / "a", tmp_path / name)) == (409, "CONFLICT")
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("a", "b")
    assert (tmp_path / "dangling").is_symlink()


def test_what_is_missing_is_told_before_what_is_in_the_way(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    missing = (404, "FILE_NOT_FOUND")
    assert outcome(move(service, tmp_path / "absent", tmp_path / "file")) == missing
    assert outcome(move(service, tmp_path / "file", tmp_path / "no" / "x")) == missing
    into_file = move(service, tmp_path / "file", tmp_path / "file" / "x")
    assert outcome(into_file) == (400, "INVALID_FILE_PATH")
    assert post(service, "move", source=tmp_path).status_code == 400


def test_a_directory_is_never_moved_into_itself(service: Service, tmp_path: Path) -> None:
    tree = tmp_path / "a"
    (tree / "sub").mkdir(parents=True)
    (tree / "file").write_bytes(b"precious")
    (tmp_path / "way").symlink_to("a")
    for destination in ("a/b", "a/sub/b", "way/b", "a/../a/b"):
        answer = move(service, tree, f"{tmp_path}/{destination}")
        assert outcome(answer) == (400, "INVALID_FILE_PATH")
    assert (tree / "file").read_bytes() == b"precious"
    assert move(service, tree, tmp_path / "ab").status_code == 200


def test_between_file_systems_everything_comes_along(
    service: Service, tmp_path: Path, other_disk: Path
) -> None:
    if tmp_path.stat().st_dev == other_disk.stat().st_dev:
        pytest.skip("the tests' directory is on the same file system as /dev/shm")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"x" * 100_000)
    (tree / "sub" / "file").chmod(0o4750)
    (tree / "link").symlink_to("sub/file")
    (tree / "dangling").symlink_to("absent")
    os.link(tree / "sub" / "file", tree / "hard")
    os.mkfifo(tree / "fifo")
    if ROOT:
        os.chown(tree / "sub", 1234, 4321)
    for path in (tree / "sub" / "file", tree / "link", tree / "sub", tree):
        os.utime(path, ns=(1_000_000_001, 1_500_000_000_123_456_789), follow_symlinks=False)
    before = {path.name: path.lstat() for path in (tree, *tree.rglob("*"))}
    moved = other_disk / "tree"
    assert move(service, tree, moved).status_code == 200
    assert not tree.exists()
    after = {path.name: path.lstat() for path in (moved, *moved.rglob("*"))}
    assert after.keys() == before.keys()
    for name, old in before.items():
        new = after[name]
        assert (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid), name
    for name in ("tree", "sub", "file", "link"):
        assert after[name].st_mtime_ns == before[name].st_mtime_ns, name
    assert after["hard"].st_ino == after["file"].st_ino
    assert (moved / "hard").read_bytes() == b"x" * 100_000
    assert (moved / "dangling").readlink() == Path("absent")
    assert [path.name for path in other_disk.iterdir()] == ["tree"]


def test_a_source_that_can_not_be_deleted_is_a_remark(
    service: Service, tmp_path: Path, other_disk: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"content")
    if subprocess.run(["chattr", "+i", tree / "file"], capture_output=True).returncode:
        pytest.skip("needs root and a file system with chattr (Debian: e2fsprogs)")
    try:
        answer = move(service, tree, other_disk / "tree")
        assert answer.status_code == 200
        assert "not permitted" in answer.json()["error"]
        assert answer.json()["message"]
        assert (other_disk / "tree" / "file").read_bytes() == b"content"
        assert (tree / "file").read_bytes() == b"content"
    finally:
        subprocess.run(["chattr", "-i", tree / "file"], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_ac_54_names_survive_move_and_delete(service: Service, tmp_path: Path, name: bytes) -> None:
    text = decode_name(name)
    (tmp_path / "file").touch()
    (tmp_path / "to").mkdir()
    assert move(service, tmp_path / "file", f"{tmp_path}/{text}").status_code == 200
    assert os.listdir(os.fsencode(tmp_path)) in ([name, b"to"], [b"to", name])
    assert move(service, f"{tmp_path}/{text}", f"{tmp_path}/to/{text}").status_code == 200
    assert os.listdir(os.fsencode(tmp_path / "to")) == [name]
    assert delete(service, f"{tmp_path}/to/{text}").status_code == 204
    assert os.listdir(tmp_path / "to") == []


# Permissions


@pytest.mark.parametrize("text", ["640", "0755", "4755", "2750", "1777", "0"])
def test_modes_are_set_with_all_their_bits(service: Service, tmp_path: Path, text: str) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "link").symlink_to("file")
    answer = post(service, "permissions", path=tmp_path / "link", mode=text)
    assert (answer.status_code, answer.content) == (200, b"")
    assert mode(file) == int(text, 8)


@pytest.mark.skipif(not ROOT, reason="only root may give files away")
def test_owners_are_set_by_number_and_name(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    query = {"owner": "1234", "group": "daemon", "mode": "4755"}
    assert post(service, "permissions", path=file, **query).status_code == 200
    info = file.stat()
    assert info.st_uid == 1234
    assert file.group() == "daemon"
    assert mode(file) == 0o4755
    assert post(service, "permissions", path=file, owner="root").status_code == 200
    assert (file.owner(), file.group()) == ("root", "daemon")


@pytest.mark.parametrize(
    "query",
    [
        {"owner": "no-such-user"},
        {"group": "no-such-group"},
        {"owner": "-1"},
        {"owner": "4294967295"},
        {"group": "nul\0"},
        {"mode": "999"},
        {"mode": "rwx", "owner": "0"},
    ],
)
def test_wrong_permissions_change_nothing(
    service: Service, tmp_path: Path, query: dict[str, str]
) -> None:
    file = tmp_path / "file"
    file.touch(0o600)
    before = file.stat()
    answer = post(service, "permissions", path=file, **{"mode": "777", **query})
    assert outcome(answer) == (400, "BAD_REQUEST")
    assert file.stat() == before


def test_permissions_of_nothing_and_no_permissions(service: Service, tmp_path: Path) -> None:
    answer = post(service, "permissions", path=tmp_path / "absent", mode="644")
    assert outcome(answer) == (404, "FILE_NOT_FOUND")
    assert post(service, "permissions", path=tmp_path).status_code == 200


# What the service's user may not do


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A directory that not even root may change: it is immutable."""
    directory = tmp_path / "closed"
    directory.mkdir()
    (directory / "file").write_bytes(b"old")
    tried = subprocess.run(["chattr", "+i", directory, directory / "file"], capture_output=True)
    if tried.returncode:
        pytest.skip("needs root and a file system with chattr (Debian: e2fsprogs)")
    yield directory
    subprocess.run(["chattr", "-i", directory, directory / "file"], check=True)


def test_what_is_not_allowed_is_told_so(service: Service, closed: Path) -> None:
    denied = (403, "FILE_ACCESS_DENIED")
    file = closed / "file"
    assert outcome(post(service, "permissions", path=file, mode="777")) == denied
    assert outcome(post(service, "folder", path=closed / "new")) == denied
    assert outcome(delete(service, file)) == denied
    assert outcome(delete(service, closed, recursive="true")) == denied
    assert outcome(move(service, file, closed / "moved")) == denied
    for path in (file, closed / "new"):
        upload = service.http.post("/files/upload-v2", params={"path": str(path)}, content=b"new")
        assert outcome(upload) == denied
    assert file.read_bytes() == b"old"

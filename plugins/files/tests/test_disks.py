"""File systems that are full, read-only or odd: mounted for the test, which needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

BOUNDARY = "b"
MiB = 1024 * 1024


@pytest.fixture
def small_disk(mount: Callable[..., Path]) -> Path:
    return mount("-t", "tmpfs", "-o", "size=2m", "tmpfs")


def upload(service: Service, path: Path, content: bytes) -> Any:
    return service.http.post("/files/upload-v2", params={"path": str(path)}, content=content)


def field(name: str, content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def test_ac_51_a_full_disk_is_507_and_leaves_nothing(service: Service, small_disk: Path) -> None:
    (small_disk / "old").write_bytes(b"old")
    for name in ("new", "old"):
        answer = upload(service, small_disk / name, b"x" * (3 * MiB))
        assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
        assert name in answer.json()["message"]
    assert [path.name for path in small_disk.iterdir()] == ["old"]
    assert (small_disk / "old").read_bytes() == b"old"
    assert upload(service, small_disk / "new", b"x" * MiB).status_code == 200


def test_ac_51_a_full_disk_in_a_bulk_upload_names_the_file(
    service: Service, small_disk: Path
) -> None:
    content = b"".join(
        [
            field("files[0].path", str(small_disk / "big").encode()),
            field("files[0].file", b"x" * (3 * MiB)),
            field("files[1].path", str(small_disk / "small").encode()),
            field("files[1].file", b"x"),
            f"--{BOUNDARY}--".encode(),
        ]
    )
    answer = service.http.post(
        "/files/bulk-upload",
        content=content,
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    found = answer.json()
    assert (answer.status_code, found["code"]) == (507, "INSUFFICIENT_STORAGE")
    (error,) = found["errors"]
    assert str(small_disk / "big") in error
    assert [each["path"] for each in found["files"]] == [str(small_disk / "small")]
    assert [path.name for path in small_disk.iterdir()] == ["small"]


def test_ac_51_no_inodes_left(service: Service, mount: Callable[..., Path]) -> None:
    disk = mount("-t", "tmpfs", "-o", "nr_inodes=4", "tmpfs")
    names = [f"{number}" for number in range(5)]
    statuses = [upload(service, disk / name, b"x").status_code for name in names]
    assert statuses[0] == 200
    assert statuses[-1] == 507
    assert statuses == sorted(statuses)


def test_a_move_to_a_full_disk_leaves_the_source(
    service: Service, small_disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "big").write_bytes(b"x" * (3 * MiB))
    query = {"source": str(tmp_path / "tree"), "destination": str(small_disk / "tree")}
    answer = service.http.post("/files/move", params=query)
    assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
    assert (tmp_path / "tree" / "big").stat().st_size == 3 * MiB
    assert list(small_disk.iterdir()) == []


def test_ac_51_a_read_only_disk_is_403(service: Service, mount: Callable[..., Path]) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    (disk / "file").write_bytes(b"old")
    (disk / "tree/below").mkdir(parents=True)
    (disk / "tree/below/file").touch()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for name in ("file", "new", "directory/new"):
        answer = upload(service, disk / name, b"new")
        assert (answer.status_code, answer.json()["code"]) == (403, "FILE_ACCESS_DENIED")
        # F-E12: the reason, and no name but the caller's.
        shown = str(disk / name.partition("/")[0])
        assert answer.json()["message"] == f"read-only file system: {shown}"
    query = {"path": str(disk / "file"), "id": "u"}
    headers = {"Upload-Offset": "0"}
    answer = service.http.patch("/x/files/upload", params=query, headers=headers, content=b"x")
    assert answer.json()["message"] == f"read-only file system: {disk / 'file'}"
    body = {"files": [str(disk / "file")], "pattern": "old", "newValue": "new"}
    (result,) = service.http.post("/files/replace", json=body).json()
    assert result["error"] == f"read-only file system: {disk / 'file'}"
    for name in ("file", "tree"):
        query = {"path": str(disk / name), "recursive": "true"}
        answer = service.http.delete("/files", params=query)
        assert (answer.status_code, answer.json()["code"]) == (403, "FILE_ACCESS_DENIED")
        assert answer.json()["message"] == f"read-only file system: {disk / name}"


@pytest.mark.parametrize("links", [1, 2])
def test_a_disk_that_fills_leaves_the_old_text(
    service: Service, small_disk: Path, links: int
) -> None:
    """By rename and in place: what replaces, edits, and what comes in pieces."""
    file = small_disk / "file"
    file.write_bytes(b"needle " * 100_000)
    if links == 2:
        os.link(file, small_disk / "other")
    before, names = file.read_bytes(), sorted(path.name for path in small_disk.iterdir())
    body: Any = {"files": [str(file)], "pattern": "needle", "newValue": "n" * 30}
    (result,) = service.http.post("/files/replace", json=body).json()
    assert (result["success"], str(file) in result["error"]) == (False, True)
    change = {"type": "replace", "oldText": "needle", "newText": "n" * 30, "count": 100_000}
    body = {"path": str(file), "edits": [change]}
    answers = [service.http.post("/x/files/edit", json=body), upload(service, file, b"x" * 3 * MiB)]
    query = {"path": str(file), "id": "u"}
    headers = {"Upload-Offset": "0", "Upload-Complete": "?1"}
    content = b"x" * 3 * MiB
    url = "/x/files/upload"
    answers.append(service.http.patch(url, params=query, headers=headers, content=content))
    service.http.delete(url, params=query).raise_for_status()
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
        assert answer.json()["message"].startswith(str(file))
    assert file.read_bytes() == before
    assert sorted(path.name for path in small_disk.iterdir()) == names


@pytest.mark.parametrize("path", ["/proc/version", "/proc/new", "/proc/new/file"])
def test_f_e12_nothing_is_stored_in_proc(service: Service, path: str) -> None:
    query = {"path": path, "id": "u"}
    headers = {"Upload-Offset": "0"}
    answers = [
        upload(service, Path(path), b"x"),
        service.http.patch("/x/files/upload", params=query, headers=headers, content=b"x"),
    ]
    if path != "/proc/version":
        answers.append(service.http.post("/files/folder", params={"path": path}))
        empty = bytes(tarfile.RECORDSIZE)
        answers.append(service.http.put("/x/files/archive", params={"path": path}, content=empty))
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "FILE_ACCESS_DENIED")
        shown = answer.json()["message"].removeprefix("permission denied: ")
        assert shown in (path, str(Path(path).parent))


def test_f_e12_a_move_that_copies_names_the_destination(
    service: Service, small_disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x" * (3 * MiB))
    for destination, status in ((Path("/proc/moved"), 403), (small_disk / "moved", 507)):
        query = {"source": str(tmp_path / "file"), "destination": str(destination)}
        answer = service.http.post("/files/move", params=query)
        assert answer.status_code == status
        assert str(destination) in answer.json()["message"]
        assert ".toolbox" not in answer.json()["message"]


def test_f_e12_errors_are_of_their_kind_and_name_the_path(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    program = tmp_path / "program"
    shutil.copy(shutil.which("sleep") or "", program)
    os.link(program, tmp_path / "other")
    cases = [
        ("file/below", "INVALID_FILE_PATH", "not a directory"),
        ("loop", "INVALID_FILE_PATH", "too many levels of symbolic links"),
        ("n" * 256, "INVALID_FILE_PATH", "file name too long"),
        ("n" * 256 + "/file", "INVALID_FILE_PATH", "file name too long"),
        # It runs, and has two names.
        ("program", "CONFLICT", "Text file busy"),
    ]
    with subprocess.Popen([program, "600"]) as running:
        try:
            for name, code, reason in cases:
                answer = upload(service, tmp_path / name, b"x")
                assert (answer.json()["code"], reason in answer.json()["message"]) == (code, True)
                assert str(tmp_path / name.partition("/")[0]) in answer.json()["message"]
                assert ".toolbox" not in answer.json()["message"]
        finally:
            running.kill()


def test_ac_52_a_mount_point_is_written_in_place(
    service: Service, mount: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"old and long")
    (tmp_path / "mounted").write_bytes(b"hidden")
    mount("--bind", str(tmp_path / "source"), on=tmp_path / "mounted")
    assert upload(service, tmp_path / "mounted", b"new").status_code == 200
    assert (tmp_path / "source").read_bytes() == b"new"
    assert not list(tmp_path.glob(".toolbox-*"))
    service.wait_for(lambda: "it is a mount point" in service.log(), "the log line")
    answer = service.http.delete("/files", params={"path": str(tmp_path / "mounted")})
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


def test_ac_52_a_file_whose_directory_can_not_be_written_is_written_in_place(
    service: Service, tmp_path: Path
) -> None:
    directory = tmp_path / "closed"
    directory.mkdir()
    (directory / "file").write_bytes(b"old and long")
    if subprocess.run(["chattr", "+i", directory], capture_output=True).returncode:
        pytest.skip("needs root and a file system with chattr (Debian: e2fsprogs)")
    try:
        assert upload(service, directory / "file", b"new").status_code == 200
        assert (directory / "file").read_bytes() == b"new"
        answer = upload(service, directory / "other", b"new")
        assert (answer.status_code, answer.json()["code"]) == (403, "FILE_ACCESS_DENIED")
    finally:
        subprocess.run(["chattr", "-i", directory], check=True)
    service.wait_for(lambda: "its directory can't be written" in service.log(), "the log line")

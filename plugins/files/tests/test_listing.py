from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from msgspec.json import encode
from toolbox_files.read.info import make_info
from toolbox_files.read.info import mode_text
from toolbox_files.read.listing import BATCH
from toolbox_files.read.listing import list_directory
from toolbox_files.read.listing import list_response

from toolbox.response import StreamResponse
from toolbox.testing import Service


def names(service: Service, path: Path, depth: int = 1) -> list[str]:
    answer = service.http.get("/files", params={"path": str(path), "depth": depth})
    assert answer.status_code == 200, answer.text
    return [entry["name"] for entry in answer.json()]


def test_list_describes_each_entry(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "hello.txt"
    file.write_bytes(b"hello")
    file.chmod(0o640)
    os.utime(file, ns=(0, 1_714_567_890_120_000_000))
    (entry,) = service.http.get("/files", params={"path": str(tmp_path)}).json()
    assert entry["modifiedAt"].startswith("2024-05-01T")
    assert ".12" in entry["modifiedAt"]
    del entry["modifiedAt"], entry["modTime"]
    assert entry == {
        "name": "hello.txt",
        "path": str(file),
        "size": 5,
        "mode": "-rw-r-----",
        "permissions": "0640",
        "isDir": False,
        "owner": str(os.getuid()),
        "group": str(os.getgid()),
    }


def test_list_is_sorted_by_bytes_and_shows_hidden_files(service: Service, tmp_path: Path) -> None:
    for name in ("b", "B", ".hidden", "é", "a b", "z"):
        (tmp_path / name).touch()
    assert names(service, tmp_path) == [".hidden", "B", "a b", "b", "z", "é"]


@pytest.mark.parametrize("path", ["/files", "/files/"])
def test_both_slash_forms_list_the_working_directory(service: Service, path: str) -> None:
    # AC-60
    (service.work_dir / "here").touch()
    answer = service.http.get(path)
    assert answer.status_code == 200
    assert "here" in [entry["name"] for entry in answer.json()]


def test_relative_paths_start_in_the_working_directory(service: Service) -> None:
    (service.work_dir / "sub").mkdir(exist_ok=True)
    (service.work_dir / "sub" / "file").touch()
    (entry,) = service.http.get("/files", params={"path": "sub"}).json()
    assert entry["path"] == str(service.work_dir.resolve() / "sub" / "file")


def test_an_empty_directory_is_an_empty_list(service: Service, tmp_path: Path) -> None:
    assert service.http.get("/files", params={"path": str(tmp_path)}).text == "[]"


def test_depth_goes_down_in_order_and_not_through_links(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    (tmp_path / "a.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert names(service, tmp_path, depth=1) == ["a", "a.txt", "link"]
    assert names(service, tmp_path, depth=2) == ["a", "b", "file", "a.txt", "link"]
    assert names(service, tmp_path, depth=9) == ["a", "b", "c", "file", "a.txt", "link"]


@pytest.mark.parametrize("depth", ["0", "-1", "x", "1.5"])
def test_a_wrong_depth_is_refused(service: Service, tmp_path: Path, depth: str) -> None:
    answer = service.http.get("/files", params={"path": str(tmp_path), "depth": depth})
    assert answer.status_code == 400
    assert answer.json()["source"] == "DAYTONA_DAEMON"


def test_depth_may_be_deeper_than_the_interpreter_recurses(
    service: Service, tmp_path: Path
) -> None:
    deep = tmp_path
    for _ in range(1100):
        deep = deep / "d"
        deep.mkdir()
    try:
        assert len(names(service, tmp_path, depth=100_000)) == 1100
    finally:
        # Pytest itself can't delete such a tree.
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_ac_55_entries_that_can_not_be_examined_are_left_out(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
        answer = service.http.get("/files", params={"path": str(tmp_path)})
    modes = {entry["name"]: entry["mode"] for entry in answer.json()}
    assert modes == {"fifo": "prw-r--r--", "link": "Dcrw-rw-rw-", "socket": "Srwxr-xr-x"}


def test_ac_55_many_entries_are_told_while_they_are_found(service: Service, tmp_path: Path) -> None:
    count = int(os.environ.get("TOOLBOX_TEST_ENTRIES", "20000"))
    (tmp_path / "many").mkdir()
    fd = os.open(tmp_path / "many", os.O_RDONLY)
    for number in range(count):
        os.mknod(f"{number:06d}", dir_fd=fd)
    os.close(fd)
    params: dict[str, str | int] = {"path": str(tmp_path), "depth": 2}
    with service.http.stream("GET", "/files", params=params) as answer:
        assert answer.headers["content-type"].startswith("application/json")
        # Memory doesn't hold what is still to come.
        assert "content-length" not in answer.headers
        entries = json.loads(answer.read())
    assert [entry["name"] for entry in entries] == ["many", *(f"{n:06d}" for n in range(count))]
    assert len({frozenset(entry) for entry in entries}) == 1


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH])
def test_lots_of_any_size_are_one_list(count: int) -> None:
    info = make_info("name", "/name", Path("/").stat())
    answer = list_response(iter([info] * count))
    body = b"".join(answer.chunks) if isinstance(answer, StreamResponse) else encode(answer)
    assert body == encode([info] * count)


def test_entries_that_vanish_during_the_walk_are_left_out(tmp_path: Path) -> None:
    # AC-55
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "below").touch()
    entries = list_directory(tmp_path, 2)
    assert next(entries).name == "a"
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    assert [entry.name for entry in entries] == ["c", "below"]


def test_info_of_links_dots_and_the_root(service: Service, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub")

    def info(path: str) -> dict[str, object]:
        answer = service.http.get("/files/info", params={"path": path})
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    link = info(f"{tmp_path}/link/")
    assert (link["name"], link["isDir"], link["path"]) == ("link", True, f"{tmp_path}/link")
    assert info("/")["name"] == "/"
    assert info("/")["path"] == "/"
    assert info(".")["name"] == "."
    assert info(".")["path"] == str(service.work_dir.resolve())
    assert info(f"{tmp_path}/link/..")["path"] == str(tmp_path)
    assert info(f"{tmp_path}/sub/../link")["path"] == f"{tmp_path}/link"
    assert info(f"//{tmp_path}//link/.")["path"] == f"{tmp_path}/link"


@pytest.mark.parametrize("operation", ["/files", "/files/info", "/files/download"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("absent", 404, "FILE_NOT_FOUND"),
        ("file/below", 400, "INVALID_FILE_PATH"),
        ("file/", 400, "INVALID_FILE_PATH"),
        ("loop", 400, "INVALID_FILE_PATH"),
        ("n" * 256, 400, "INVALID_FILE_PATH"),
        ("nul\0byte", 400, "INVALID_FILE_PATH"),
    ],
)
def test_errors_of_paths(
    service: Service, tmp_path: Path, operation: str, name: str, status: int, code: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    answer = service.http.get(operation, params={"path": f"{tmp_path}/{name}"})
    error = answer.json()
    assert (answer.status_code, error["code"]) == (status, code)
    assert (error["source"], error["method"]) == ("DAYTONA_DAEMON", "GET")


def test_a_file_can_not_be_listed(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = service.http.get("/files", params={"path": str(tmp_path / "file")})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILE_PATH")


def test_info_needs_a_path(service: Service) -> None:
    assert service.http.get("/files/info").status_code == 400
    assert service.http.get("/files/info", params={"path": ""}).status_code == 400


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o100644, "-rw-r--r--"),
        (0o040755, "drwxr-xr-x"),
        (0o041777, "dtrwxrwxrwx"),
        (0o020666, "Dcrw-rw-rw-"),
        (0o060660, "Drw-rw----"),
        (0o104755, "urwxr-xr-x"),
        (0o106755, "ugrwxr-xr-x"),
        (0o010600, "prw-------"),
        (0o140755, "Srwxr-xr-x"),
    ],
)
def test_modes_are_written_as_go_writes_them(mode: int, text: str) -> None:
    assert mode_text(mode) == text


@pytest.mark.parametrize(
    ("zone", "nanoseconds", "mod_time", "modified_at"),
    [
        (
            "UTC",
            1_714_567_890_123_456_789,
            "2024-05-01 12:51:30.123456789 +0000 UTC",
            "2024-05-01T12:51:30.123456789Z",
        ),
        ("UTC", 1_714_567_890_000_000_000, "2024-05-01 12:51:30 +0000 UTC", "2024-05-01T12:51:30Z"),
        (
            "NST+3:30",
            1_714_567_890_500_000_000,
            "2024-05-01 09:21:30.5 -0330 NST",
            "2024-05-01T09:21:30.5-03:30",
        ),
        ("UTC", -1, "1969-12-31 23:59:59.999999999 +0000 UTC", "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_times_are_written_as_go_writes_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    nanoseconds: int,
    mod_time: str,
    modified_at: str,
) -> None:
    from toolbox_files.read import info as fileinfo

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    fileinfo._local.cache_clear()
    try:
        file = tmp_path / "file"
        file.touch()
        os.utime(file, ns=(0, nanoseconds))
        info = make_info("file", str(file), file.stat())
    finally:
        monkeypatch.undo()
        time.tzset()
        fileinfo._local.cache_clear()
    assert (info.mod_time, info.modified_at) == (mod_time, modified_at)

from __future__ import annotations

import io
import os
import socket
import stat
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_files.write.splicing import _pass_on

from toolbox.testing import Service

BIG = os.urandom(1024) * 5000

BOUNDARY = "a-boundary-of-tests"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
TYPES = {"Content-Type": CONTENT_TYPE}


def part(name: str, content: bytes, *lines: str, filename: str | None = None) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = "\r\n".join([f"--{BOUNDARY}", disposition, *lines])
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def upload(service: Service, path: Path | str, content: Any, **headers: str) -> Any:
    return service.http.post(
        "/files/upload-v2", params={"path": str(path)}, content=content, headers=headers
    )


def left_over(directory: Path) -> list[str]:
    return [entry.name for entry in directory.rglob(".toolbox-*")]


@pytest.mark.parametrize("content", [b"", b"small", BIG])
def test_a_raw_body_is_the_file(service: Service, tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "new" / "dir" / "file.bin"
    answer = upload(service, target, content)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"name": "file.bin", "path": str(target), "type": "file"}
    assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize("path", ["/files/upload-v2", "/files/upload"])
@pytest.mark.parametrize("content", [b"", b"small", BIG, b"--a-boundary-of-test\r\n--"])
def test_a_multipart_field_is_the_file(
    service: Service, tmp_path: Path, path: str, content: bytes
) -> None:
    target = tmp_path / "file"
    answer = service.http.post(
        path,
        params={"path": str(target)},
        content=body(part("other", b"x"), part("file", content, filename="ignored")),
        headers=TYPES,
    )
    assert answer.status_code == 200, answer.text
    if path == "/files/upload":
        assert answer.content == b""  # F-C2: old clients of the API can't read any.
    else:
        assert answer.json()["path"] == str(target)
    assert target.read_bytes() == content


def test_a_chunked_body_is_the_file(service: Service, tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(BIG), 70_000):
            yield BIG[start : start + 70_000]

    answer = upload(service, tmp_path / "file", chunks())
    assert answer.status_code == 200, answer.text
    assert (tmp_path / "file").read_bytes() == BIG


@pytest.mark.parametrize("path", ["/files/upload-v2", "/files/upload"])
def test_a_multipart_body_without_the_field_changes_nothing(
    service: Service, tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    answer = service.http.post(
        path,
        params={"path": str(tmp_path / "file")},
        content=body(part("other", b"x")),
        headers=TYPES,
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_cut_multipart_body_changes_nothing(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    cut = body(part("file", b"new", filename="f"))[:-10]
    answer = upload(service, tmp_path / "file", cut, **TYPES)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("size", [1_000_000, 10_000_000])
def test_a_client_that_goes_away_changes_nothing(
    service: Service, tmp_path: Path, size: int
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    head = (
        f"POST /files/upload-v2?path={target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
        f"Authorization: Bearer {service.token}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head.encode() + b"x" * (size // 2))
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(65536)
    assert b" 400 " in answer
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_large_body_in_pieces_is_the_file_and_the_connection_goes_on(
    service: Service, tmp_path: Path
) -> None:
    target = tmp_path / "file"
    head = (
        f"POST /files/upload-v2?path={target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BIG)}\r\n"
        f"Authorization: Bearer {service.token}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        for _ in range(2):
            # The first bytes come with the head, and the last ones alone.
            client.sendall(head.encode() + BIG[:1000])
            client.sendall(BIG[1000:-1])
            client.sendall(BIG[-1:])
            assert b" 200 " in client.recv(65536)
            assert target.read_bytes() == BIG
            target.unlink()


def test_a_file_that_takes_no_pipe_gets_all_of_it(tmp_path: Path) -> None:
    # One to append to is refused by splice(2).
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    reading, writing = os.pipe()
    os.write(writing, b"content")
    with io.FileIO(fd, "w") as file:
        assert not _pass_on(reading, file, 7)
    assert (tmp_path / "file").read_bytes() == b"content"
    os.close(reading)
    os.close(writing)


def test_mode_owner_and_attributes_are_kept(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "script"
    target.write_bytes(b"old")
    if os.getuid() == 0:
        os.chown(target, 1234, 4321)
    target.chmod(0o4751)
    attributes = True
    try:
        os.setxattr(target, "user.note", b"kept")
    except OSError:
        attributes = False  # The file system of the tests has none.
    before = target.stat()
    assert upload(service, target, b"new").status_code == 200
    after = target.stat()
    assert target.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert after.st_ino != before.st_ino
    assert not attributes or os.getxattr(target, "user.note") == b"kept"


def test_links_are_written_through(service: Service, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("absent")
    (tmp_path / "loop").symlink_to("loop")
    assert upload(service, tmp_path / "link", b"new").status_code == 200
    assert upload(service, tmp_path / "dangling", b"made").status_code == 200
    assert upload(service, tmp_path / "loop", b"x").json()["code"] == "INVALID_FILE_PATH"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "absent").read_bytes() == b"made"


def test_hard_links_are_written_in_place_and_the_log_says_so(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "one").write_bytes(b"old and long")
    os.link(tmp_path / "one", tmp_path / "two")
    assert upload(service, tmp_path / "one", b"new").status_code == 200
    assert (tmp_path / "two").read_bytes() == b"new"
    service.wait_for(lambda: "it has several names" in service.log(), "the log line")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("directory", "INVALID_FILE_PATH"),
        ("fifo", "INVALID_FILE_PATH"),
        ("file/below", "INVALID_FILE_PATH"),
        ("file/below/deeper", "INVALID_FILE_PATH"),
        ("n" * 256, "INVALID_FILE_PATH"),
        ("nul\0byte", "INVALID_FILE_PATH"),
        ("new/", "INVALID_FILE_PATH"),
        ("file/", "INVALID_FILE_PATH"),
    ],
)
def test_errors_of_uploads(service: Service, tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    os.mkfifo(tmp_path / "fifo")
    for content, headers in ((BIG, {}), (body(part("file", BIG)), TYPES)):
        answer = upload(service, f"{tmp_path}/{path}", content, **headers)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert (tmp_path / "file").read_bytes() == b"old"


def test_uploads_need_a_path(service: Service) -> None:
    assert service.http.post("/files/upload-v2", content=b"x").status_code == 400


def test_ac_53_uploads_to_one_tree_make_its_directories_together(
    service: Service, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> int:
        path = tmp_path / "a" / "b" / "c" / str(number % 3) / f"{number}"
        status: int = upload(service, path, str(number).encode()).status_code
        return status

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(one, range(48))) == {200}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 48


# Bulk


def bulk(service: Service, content: Any, **headers: str) -> Any:
    return service.http.post("/files/bulk-upload", content=content, headers=headers or TYPES)


def interleaved(paths: list[str]) -> list[bytes]:
    found = []
    for number, path in enumerate(paths):
        found.append(part(f"files[{number}].path", path.encode()))
        found.append(part(f"files[{number}].file", f"{number}".encode(), filename=path))
    return found


def paths_first(paths: list[str]) -> list[bytes]:
    each = interleaved(paths)
    return each[::2] + each[1::2][::-1]


@pytest.mark.parametrize("order", [interleaved, paths_first])
def test_bulk_upload_takes_parts_in_any_order(
    service: Service, tmp_path: Path, order: Callable[[list[str]], list[bytes]]
) -> None:
    paths = [f"{tmp_path}/{name}" for name in ("a", "deep/er/b", "日本語", "a b")]
    answer = bulk(service, body(*order(paths)))
    assert answer.status_code == 200, answer.text
    stored = answer.json()["files"]
    assert sorted(each["path"] for each in stored) == sorted(paths)
    assert {each["bytes"] for each in stored} == {1}
    assert [Path(path).read_bytes() for path in paths] == [b"0", b"1", b"2", b"3"]
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in paths} == {0o644}
    assert stat.S_IMODE((tmp_path / "deep" / "er").stat().st_mode) == 0o755
    assert left_over(tmp_path) == []


def test_bulk_upload_goes_on_after_a_failure(service: Service, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    answer = bulk(
        service,
        body(
            part("files[0].path", str(tmp_path / "directory").encode()),
            part("files[0].file", BIG),
            part("files[x].file", b"no path"),
            part("files[2].path", b"  \n"),
            part("files[2].file", b"empty path"),
            part("unknown", b"ignored"),
            part("files[3].path", b"/first"),
            part("files[3].path", f" {tmp_path}/good\n".encode()),
            part("files[3].file", b"good"),
        ),
    )
    assert answer.status_code == 400
    found = answer.json()
    assert found["files"] == [{"path": f"{tmp_path}/good", "bytes": 4}]
    assert (found["statusCode"], found["source"]) == (400, "DAYTONA_DAEMON")
    first, second, third = found["errors"]
    assert str(tmp_path / "directory") in first
    assert "file[x]" in second
    assert "path" in second
    assert "empty path" in third
    assert (tmp_path / "good").read_bytes() == b"good"


def test_a_cut_bulk_upload_tells_so_and_keeps_what_was_complete(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "1").write_bytes(b"old")
    whole = body(*interleaved([f"{tmp_path}/0", f"{tmp_path}/1"]))
    answer = bulk(service, whole[: whole.rindex(b"1\r\n") + 1])
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert "reading part" in error
    assert [each["path"] for each in answer.json()["files"]] == [f"{tmp_path}/0"]
    assert (tmp_path / "1").read_bytes() == b"old"
    assert left_over(tmp_path) == []


def test_a_bulk_upload_that_is_no_multipart(service: Service) -> None:
    answer = bulk(service, BIG, **{"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1


def test_an_empty_bulk_upload(service: Service) -> None:
    assert bulk(service, body()).json() == {"files": []}


def test_bulk_upload_writes_through_links(service: Service, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("absent")
    paths = [f"{tmp_path}/link", f"{tmp_path}/dangling"]
    assert bulk(service, body(*interleaved(paths))).status_code == 200
    assert (tmp_path / "real").read_bytes() == b"0"
    assert (tmp_path / "absent").read_bytes() == b"1"


@pytest.mark.parametrize("path", ["/files/upload-v2", "/files/upload"])
def test_the_type_of_a_form_has_no_case(service: Service, tmp_path: Path, path: str) -> None:
    # F-C11
    target = tmp_path / "file"
    form = TYPES["Content-Type"].replace("multipart/form-data", "Multipart/Form-Data")
    answer = service.http.post(
        path,
        params={"path": str(target)},
        content=body(part("file", b"new", filename="f")),
        headers={"Content-Type": form},
    )
    assert (answer.status_code, target.read_bytes()) == (200, b"new")


def test_a_field_is_there_once(service: Service, tmp_path: Path) -> None:
    # F-B8
    target = tmp_path / "file"
    twice = body(part("file", b"one", filename="f"), part("file", b"two", filename="f"))
    for path in ("/files/upload-v2", "/files/upload"):
        answer = service.http.post(path, params={"path": str(target)}, content=twice, headers=TYPES)
        assert (answer.status_code, target.exists()) == (400, False)
    fields = [("path", bytes(target)), ("file", b"one"), ("file", b"two")]
    answer = bulk(service, body(*(part(f"files[0].{name}", data) for name, data in fields)))
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)
    assert target.read_bytes() == b"one"


# Conditions


def test_an_upload_can_insist_on_the_file_it_knows(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    made = upload(service, target, b"one", **{"If-None-Match": "*"})
    assert made.status_code == 200
    etag = made.headers["etag"]
    download = service.http.get("/files/download", params={"path": str(target)})
    assert download.headers["etag"] == etag
    again = upload(service, target, BIG, **{"If-None-Match": "*"})
    assert (again.status_code, again.json()["code"]) == (412, "PRECONDITION_FAILED")
    changed = upload(service, target, b"two", **{"If-Match": f'"other", {etag}'})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag
    assert upload(service, target, b"three", **{"If-Match": etag}).status_code == 412
    assert upload(service, target, b"three", **{"If-Match": f"W/{etag}"}).status_code == 412
    assert target.read_bytes() == b"two"
    assert upload(service, tmp_path / "absent", b"x", **{"If-Match": "*"}).status_code == 412
    weak = upload(service, target, b"three", **{"If-None-Match": f"W/{changed.headers['etag']}"})
    assert weak.status_code == 412
    assert not (tmp_path / "absent").exists()


BEFORE, AFTER = "Mon, 02 Jan 2006 15:04:04 GMT", "Mon, 02 Jan 2006 15:04:05 GMT"


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"other"'}])
def test_an_upload_can_insist_on_no_change_since(
    service: Service, tmp_path: Path, headers: dict[str, str]
) -> None:
    # F-C9
    target = tmp_path / "file"
    target.write_bytes(b"one")
    os.utime(target, (1136214245, 1136214245))
    late = upload(service, target, b"two", **{"If-Unmodified-Since": BEFORE, **headers})
    assert (late.status_code, late.json()["code"]) == (412, "PRECONDITION_FAILED")
    params = {"path": str(target)}
    edit = {"path": str(target), "edits": [{"type": "replace", "oldText": "one", "newText": "two"}]}
    since = {"If-Unmodified-Since": BEFORE}
    assert service.http.post("/x/files/edit", json=edit, headers=since).status_code == 412
    piece = {**since, "Upload-Offset": "0", "Upload-Complete": "?1"}
    patch = {"params": {**params, "id": "x"}, "headers": piece, "content": b"two"}
    assert service.http.patch("/x/files/upload", **patch).status_code == 412  # type: ignore[arg-type]
    assert target.read_bytes() == b"one"
    right = {"If-Unmodified-Since": AFTER, **headers}
    assert upload(service, target, b"two", **right).status_code == 200
    etag = upload(service, target, b"two").headers["etag"]
    both = {"If-Match": etag, "If-Unmodified-Since": BEFORE}
    assert upload(service, target, b"two", **both).status_code == 200, "If-Match goes before it"


def test_a_condition_still_holds_at_the_end_of_the_upload(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"

    def chunks() -> Iterator[bytes]:
        yield b"ours"
        service.wait_for(target.parent.exists, "the beginning")
        target.write_bytes(b"theirs")
        yield b"ours"

    answer = upload(service, target, chunks(), **{"If-None-Match": "*"})
    assert answer.status_code == 412
    assert target.read_bytes() == b"theirs"

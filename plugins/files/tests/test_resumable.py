from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox_files.conditions import UNCONDITIONAL
from toolbox_files.write.registry import PREFIX
from toolbox_files.write.registry import UploadRegistry
from toolbox_files.write.resumable import PartialUpload

from toolbox.testing import Service

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "/x/files/upload"


def query(path: Path, **more: str) -> dict[str, str]:
    return {"path": str(path), "id": "an id / of a client", **more}


def append(service: Service, path: Path, start: int, stop: int, last: bool, **more: str) -> Any:
    headers = {"Upload-Offset": str(start), "Upload-Complete": "?1" if last else "?0"}
    headers |= {name: more.pop(name) for name in ("If-Match", "If-None-Match") if name in more}
    return service.http.patch(
        URL, params=query(path, **more), content=CONTENT[start:stop], headers=headers
    )


def offset(service: Service, path: Path) -> int:
    answer = service.http.get(URL, params=query(path))
    assert answer.headers["upload-offset"] == str(answer.json()["offset"])
    return int(answer.json()["offset"])


def test_pieces_become_the_file_when_they_are_complete(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    assert offset(service, target) == 0
    answer = append(service, target, 0, 100_000, False)
    assert answer.json() == {"offset": 100_000, "complete": False}
    assert offset(service, target) == 100_000
    assert not target.exists()
    answer = append(service, target, 100_000, 300_000, True, sha256=SHA256.upper())
    assert answer.json() == {"offset": 300_000, "complete": True}
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_f_a2_a_file_with_several_names_gets_the_pieces(service: Service, tmp_path: Path) -> None:
    target, other = tmp_path / "file", tmp_path / "other"
    target.write_bytes(b"old")
    os.link(target, other)
    etag = service.http.get("/files/download", params={"path": str(other)}).headers["etag"]
    append(service, target, 0, 1000, False)
    answer = append(service, target, 1000, 300_000, True, **{"If-Match": etag})
    assert answer.json() == {"offset": 300_000, "complete": True}
    assert other.read_bytes() == CONTENT
    assert other.samefile(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_the_file_that_is_replaced_gives_its_mode(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    target.chmod(0o710)
    (tmp_path / "link").symlink_to("file")
    assert append(service, tmp_path / "link", 0, 10, False).status_code == 200
    (partial,) = tmp_path.glob(".toolbox-upload-*")
    assert stat.S_IMODE(partial.stat().st_mode) == 0o600
    assert target.read_bytes() == b"old"
    assert append(service, tmp_path / "link", 10, 300_000, True).status_code == 200
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o710
    assert (tmp_path / "link").is_symlink()


def test_hard_links_stay_links(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    os.link(target, tmp_path / "other")
    assert append(service, target, 0, 300_000, True).status_code == 200
    assert (tmp_path / "other").read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_ac_57_what_a_broken_connection_has_brought_is_kept(
    service: Service, tmp_path: Path
) -> None:
    target = tmp_path / "file"
    head = (
        f"PATCH {URL}?path={target}&id=an+id+/+of+a+client HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {service.token}\r\nContent-Length: 300000\r\n"
        "Upload-Offset: 0\r\nUpload-Complete: ?1\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head.encode() + CONTENT[:200_000])
        client.shutdown(socket.SHUT_WR)
        assert b" 400 " in client.recv(65536)
    assert not target.exists()
    start = offset(service, target)
    assert start == 200_000
    assert append(service, target, start, 300_000, True, sha256=SHA256).status_code == 200
    assert target.read_bytes() == CONTENT


def test_a_wrong_offset_tells_the_right_one(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    append(service, target, 0, 1000, False)
    for start in (0, 999, 1001):
        answer = append(service, target, start, 2000, False)
        assert (answer.status_code, answer.json()["code"]) == (409, "WRONG_UPLOAD_OFFSET")
        assert answer.headers["upload-offset"] == "1000"
    assert offset(service, target) == 1000


def test_one_request_at_a_time_appends(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    head = (
        f"PATCH {URL}?path={target}&id=an+id+/+of+a+client HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {service.token}\r\nContent-Length: 300000\r\n"
        "Upload-Offset: 0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(head.encode() + CONTENT[:1000])
        service.wait_for(lambda: offset(service, target) == 1000, "the first piece")
        answer = append(service, target, 1000, 2000, False)
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
        client.sendall(CONTENT[1000:])
        assert b" 200 " in client.recv(65536)
    assert offset(service, target) == 300_000


def test_a_wrong_checksum_changes_nothing_and_begins_again(
    service: Service, tmp_path: Path
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    answer = append(service, target, 0, 299_999, True, sha256=SHA256)
    assert (answer.status_code, answer.json()["code"]) == (422, "CHECKSUM_MISMATCH")
    assert target.read_bytes() == b"old"
    assert offset(service, target) == 0
    assert append(service, target, 0, 9, True, sha256="xyz").status_code == 400


def test_conditions_hold_for_the_whole(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"theirs")
    answer = append(service, target, 0, 300_000, True, **{"If-None-Match": "*"})
    assert answer.status_code == 412
    assert target.read_bytes() == b"theirs"
    assert offset(service, target) == 300_000


def test_one_id_may_be_used_for_several_files(service: Service, tmp_path: Path) -> None:
    targets = [tmp_path / "a", tmp_path / "b"]
    for target in targets:
        assert append(service, target, 0, 1000, False).status_code == 200
    for target in targets:
        assert append(service, target, 1000, 300_000, True, sha256=SHA256).status_code == 200
        assert target.read_bytes() == CONTENT


def test_an_upload_can_be_cancelled(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "file"
    append(service, target, 0, 1000, False)
    for _ in range(2):
        assert service.http.delete(URL, params=query(target)).status_code == 204
    assert list(tmp_path.iterdir()) == []


def test_what_is_abandoned_is_deleted(make_service: Callable[..., Service], tmp_path: Path) -> None:
    settings = f'[files.local]\nupload_max_age = 1\nstate_dir = "{tmp_path}/state"\n'
    service = make_service(settings=settings)
    target = tmp_path / "dir" / "file"
    answer = append(service, target, 0, 1000, False)
    assert answer.headers["upload-limit"] == "max-age=1"
    assert answer.json() == {"offset": 1000, "complete": False}
    service.wait_for(lambda: not list(target.parent.iterdir()), "the end of the upload")
    service.wait_for(lambda: not list((tmp_path / "state").iterdir()), "the end of its link")
    assert offset(service, target) == 0


def test_uploads_are_remembered_from_one_service_to_the_next(tmp_path: Path) -> None:
    first = UploadRegistry(3600, str(tmp_path / "state"))
    partials = [PartialUpload(tmp_path / name, "id", first) for name in ("old", "young", "busy")]
    for partial in partials:
        with partial.appending(0) as file:
            file.write(b"content")
    stored = {partial: partial._partial for partial in partials}
    for partial in (partials[0], partials[2]):
        os.utime(stored[partial], (0, 0))
    UploadRegistry(0, str(tmp_path / "state")).sweep()
    assert all(name.exists() for name in stored.values())
    with stored[partials[2]].open("rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        UploadRegistry(3600, str(tmp_path / "state")).sweep()
    assert [name.exists() for name in stored.values()] == [False, True, True]
    partials[1].cancel()
    partials[2].complete("", UNCONDITIONAL)
    assert list((tmp_path / "state").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy", "state"]


def test_only_uploads_are_ever_deleted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0o700)
    (tmp_path / "precious").touch()
    os.utime(tmp_path / "precious", (0, 0))
    (state / "link").symlink_to(tmp_path / "precious")
    partial = tmp_path / f"{PREFIX}{'0' * 32}"
    partial.touch()
    os.utime(partial, (0, 0))
    (state / "upload").symlink_to(partial)
    state.chmod(0o777)
    # Another user may have put the links there.
    UploadRegistry(3600, str(state)).sweep()
    assert partial.exists()
    state.chmod(0o700)
    UploadRegistry(3600, str(state)).sweep()
    assert (tmp_path / "precious").exists()
    assert not partial.exists()


def test_what_can_not_be_uploaded_to(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file" / "below"):
        answer = append(service, target, 0, 10, True)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILE_PATH")
    headers = {"Upload-Offset": "-1"}
    answer = service.http.patch(URL, params=query(tmp_path / "new"), headers=headers)
    assert answer.status_code == 400
    assert service.http.patch(URL, params=query(tmp_path / "new")).status_code == 400

from __future__ import annotations

import base64
import email.parser
import email.policy
import hashlib
import json
import os
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from toolbox.filenames import decode_name
from toolbox.testing import Service

NAMES = [
    b"plain.txt",
    b"with space",
    b"quote\"s'",
    b"back\\slash",
    b"line\nbreak\r",
    b"hash#per%cent?amp&plus+",
    "emoji-\N{PILE OF POO}".encode(),
    "日本語".encode(),
    "\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
    b"not-utf8-\xff\xfe\x80",
    b"n" * 255,
    b"\xff" * 255,
    b"-rf",
    b"%ff",
]


def parts(answer: Any) -> list[EmailMessage]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("multipart/form-data; boundary=")
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.content)
    assert not message.defects
    return list(message.iter_parts())  # type: ignore[arg-type]


def test_download_has_the_headers_clients_know(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "日本語 (1).txt"
    file.write_bytes(b"content")
    answer = service.http.get("/files/download", params={"path": str(file)})
    assert answer.content == b"content"
    expected = {
        "content-type": "application/octet-stream",
        "content-length": "7",
        "content-description": "File Transfer",
        "content-transfer-encoding": "binary",
        "accept-ranges": "bytes",
        "expires": "0",
        "cache-control": "must-revalidate",
        "pragma": "public",
        "content-disposition": 'attachment; filename="___ (1).txt"; '
        "filename*=utf-8''%E6%97%A5%E6%9C%AC%E8%AA%9E%20%281%29.txt",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert "last-modified" in answer.headers


@pytest.mark.parametrize(
    ("header", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=0-99", 206, b"0123456789"),
        ("nonsense", 200, b"0123456789"),
    ],
)
def test_ranges(service: Service, tmp_path: Path, header: str, status: int, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    answer = service.http.get(
        "/files/download", params={"path": str(file)}, headers={"Range": header}
    )
    assert (answer.status_code, answer.content) == (status, content)


def test_a_range_behind_the_end_is_refused(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    answer = service.http.get(
        "/files/download", params={"path": str(file)}, headers={"Range": "bytes=10-"}
    )
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


def test_conditional_downloads(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    query = {"path": str(file)}
    etag = service.http.get("/files/download", params=query).headers["etag"]

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return service.http.get("/files/download", params=query, headers=named).status_code

    assert status(If_None_Match=etag) == 304
    assert status(If_Match=etag) == 200
    file.write_bytes(b"newer")
    assert status(If_None_Match=etag) == 200
    assert status(If_Match=etag) == 412


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ("sha-256=1", True),
        ("sha-512=3, sha-256=10", True),
        ("sha-256=0", False),
        ("sha-256=1x", False),
        ("sha-512=1", False),
        ("", False),
    ],
)
def test_ac_57_a_download_can_be_verified(
    service: Service, tmp_path: Path, wanted: str, sent: bool
) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(3_000_000))
    digest = base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()
    expected = f"sha-256=:{digest}:" if sent else None
    query, headers = {"path": str(file)}, {"Want-Repr-Digest": wanted}
    whole = service.http.get("/files/download", params=query, headers=headers)
    assert whole.content == file.read_bytes()
    assert whole.headers.get("repr-digest") == expected
    headers |= {"Range": "bytes=1000000-", "If-Range": whole.headers["etag"]}
    rest = service.http.get("/files/download", params=query, headers=headers)
    assert (rest.status_code, rest.headers.get("repr-digest")) == (206, expected)
    assert rest.content == file.read_bytes()[1_000_000:]


def test_only_regular_files_are_sent(service: Service, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", Path("/dev/zero")):
        answer = service.http.get("/files/download", params={"path": str(path)})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILE_PATH")


@pytest.mark.parametrize(
    "path", ["/proc/version", "/sys/devices/system/cpu/online", "/proc/devices"]
)
def test_files_of_the_kernel_have_their_content(service: Service, path: str) -> None:
    content = Path(path).read_bytes()
    assert len(content) != Path(path).stat().st_size
    answer = service.http.get("/files/download", params={"path": path})
    assert (answer.status_code, answer.content) == (200, content)
    part = service.http.get("/files/download", params={"path": path}, headers={"Range": "bytes=1-"})
    assert (part.status_code, part.content) == (206, content[1:])
    (file,) = parts(service.http.post("/files/bulk-download", json={"paths": [path]}))
    assert file.get_payload(decode=True) == content


@pytest.mark.parametrize("path", ["/proc/self/mem", "/proc/thread-self/mem"])
def test_f_c14_what_can_not_be_read_as_a_file_is_no_failure_of_the_service(
    service: Service, path: str
) -> None:
    answer = service.http.get("/files/download", params={"path": path})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILE_PATH")
    body = {"files": [path], "pattern": "x", "newValue": "y"}
    (result,) = service.http.post("/files/replace", json=body).json()
    assert path in result["error"]
    (part,) = parts(service.http.post("/files/bulk-download", json={"paths": [path]}))
    assert b"INVALID_FILE_PATH" in part.get_payload(decode=True)


def test_bulk_download_has_a_part_for_each_path(service: Service, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": 1}')
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    asked = [f"{tmp_path}/{name}" for name in ("a.json", "empty", "absent", "a.json", "fifo")]
    asked += [str(tmp_path), "", "nul\0"]
    answer = service.http.post("/files/bulk-download", json={"paths": asked})
    found = parts(answer)
    names = [part.get_param("name", header="content-disposition") for part in found]
    assert names == ["file", "file", "error", "file", "error", "error", "error", "error"]
    assert found[0].get_content_type() == "application/json"
    assert found[0]["content-length"] == "8"
    assert found[0].get_payload(decode=True) == b'{"a": 1}'
    assert found[1].get_payload(decode=True) == b""
    errors = [json.loads(part.get_payload(decode=True)) for part in found if not _is_file(part)]  # type: ignore[arg-type]
    assert [(error["statusCode"], error["code"]) for error in errors] == [
        (404, "FILE_NOT_FOUND"),
        *[(400, "INVALID_FILE_PATH")] * 4,
    ]
    assert [error["path"] for error in errors] == [asked[2], *asked[4:]]
    assert errors[0]["source"] == "DAYTONA_DAEMON"
    assert "file not found" in errors[0]["message"]
    assert "directory" in errors[2]["message"]
    assert found[2]["content-length"] is None
    assert answer.text.count("\r\nContent-Type: application/json; charset=utf-8\r\n") == 5
    assert {error["method"] for error in errors} == {"POST"}
    assert found[1].get_content_type() == "application/octet-stream"


def _is_file(part: EmailMessage) -> bool:
    return part.get_param("name", header="content-disposition") == "file"


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'{"paths": []}', b'{"paths": [1]}', b"[]"])
def test_bulk_download_refuses_what_is_not_a_list_of_paths(service: Service, body: bytes) -> None:
    answer = service.http.post("/files/bulk-download", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_BODY")


def test_boundaries_are_never_the_same(service: Service, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    request = {"paths": [str(tmp_path / "f")]}
    types = {
        service.http.post("/files/bulk-download", json=request).headers["content-type"]
        for _ in range(3)
    }
    assert len(types) == 3


@pytest.mark.parametrize("name", NAMES)
def test_ac_54_names_survive_list_info_download_and_bulk(
    service: Service, tmp_path: Path, name: bytes
) -> None:
    content = b"content of " + name
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(content)
    (entry,) = service.http.get("/files", params={"path": str(tmp_path)}).json()
    assert entry["name"] == decode_name(name)
    path = entry["path"]
    assert service.http.get("/files/info", params={"path": path}).json() == entry
    assert service.http.get("/files/download", params={"path": path}).content == content
    answer = service.http.post("/files/bulk-download", json={"paths": [path]})
    (part,) = parts(answer)
    assert part.get_payload(decode=True) == content
    (encoded,) = re.findall(r"filename\*=utf-8''(\S+)\r\n", answer.text)
    assert unquote(encoded, errors="strict") == path


@pytest.mark.parametrize("wanted", [None, "bytes=1-", "bytes=1-8000000,9000000-"])
def test_a_file_that_becomes_shorter(service: Service, tmp_path: Path, wanted: str | None) -> None:
    """F-A13: the connection closes, so that no client waits for the missing bytes."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 16_000_000)
    headers = {"Range": wanted} if wanted else {}
    request = service.http.stream(
        "GET", "/files/download", params={"path": str(file)}, headers=headers
    )
    with request as answer:
        blocks = answer.iter_raw(4096)
        next(blocks)
        os.truncate(file, 10)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in blocks:
                pass

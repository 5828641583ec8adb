"""Broken and hostile requests on E2B's wires: an error of that wire, with the right code."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

SETTINGS = "[e2b]\nmax_watchers = 4\n"
STREAM = {"Content-Type": "application/connect+json"}
UNARY = {"Content-Type": "application/json"}
START = "/e2b/process.Process/Start"
ECHO = {"process": {"cmd": "/bin/echo", "args": ["hi"]}}


def frame(message: Any, flags: int = 0, length: int | None = None) -> bytes:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", flags, len(data) if length is None else length) + data


def frames(body: bytes) -> list[tuple[int, Any]]:
    found = []
    while body:
        flags, length = struct.unpack_from(">BI", body)
        found.append((flags, json.loads(body[5 : 5 + length])))
        body = body[5 + length :]
    return found


def stream_error(response: httpx.Response) -> Any:
    """The error in the last frame, which is all that clients read of a stream's errors."""
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/connect+json"
    flags, end = frames(response.content)[-1]
    assert flags == 2
    return end.get("error", {}).get("code")


def test_a_stream(service: Service) -> None:
    response = service.http.post(START, content=frame(ECHO), headers=STREAM)
    (_, start), *output, (_, end), last = frames(response.content)
    assert start["event"]["start"]["pid"] > 0
    pieces = [base64.b64decode(event["event"]["data"]["stdout"]) for _, event in output]
    assert b"".join(pieces) == b"hi\n"
    # Zero values are left out, as protobuf's JSON does.
    assert end == {"event": {"end": {"exited": True, "status": "exit status 0"}}}
    assert last == (2, {})


def test_a_program_whose_name_looks_like_an_option(service: Service, tmp_path: Path) -> None:
    program = tmp_path / "-a"
    program.write_text('#!/bin/sh\necho "$#" "$@"\n')
    program.chmod(0o755)
    process = {"cmd": "-a", "args": ["x", "/bin/echo"], "envs": {"PATH": f"{tmp_path}:/bin"}}
    response = service.http.post(START, content=frame({"process": process}), headers=STREAM)
    _, *output, (_, end), _ = frames(response.content)
    pieces = [base64.b64decode(event["event"]["data"]["stdout"]) for _, event in output]
    assert b"".join(pieces) == b"2 x /bin/echo\n"
    assert end["event"]["end"]["status"] == "exit status 0"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_argument"),
        (b"\0", "invalid_argument"),
        (frame(ECHO)[:-1], "invalid_argument"),
        (frame(ECHO, length=3), "invalid_argument"),
        (frame(ECHO, length=10_000), "invalid_argument"),
        (frame(ECHO, length=2**32 - 1), "resource_exhausted"),
        (frame(ECHO, flags=1), "unimplemented"),
        (frame(ECHO, flags=2), "invalid_argument"),
        (frame(ECHO, flags=0xFF), "unimplemented"),
        (frame(ECHO) + frame(ECHO), "invalid_argument"),
        (frame(b"{"), "invalid_argument"),
        (frame(b"\xff\xfe"), "invalid_argument"),
        (frame(b"[" * 100_000), "invalid_argument"),
        (frame([]), "invalid_argument"),
        (frame({}), "invalid_argument"),
        (frame({"process": {"cmd": ""}}), "invalid_argument"),
        (frame({"process": {"cmd": 1}}), "invalid_argument"),
        (frame({"process": {"cmd": "a\0b"}}), "invalid_argument"),
        (frame({"process": {"cmd": "true", "envs": {"A=B": "x"}}}), "invalid_argument"),
        (frame({"process": {"cmd": "true", "cwd": "/none"}}), "invalid_argument"),
        (frame({**ECHO, "pty": {"size": {"cols": -1}}}), "invalid_argument"),
        (frame({**ECHO, "pty": {"size": {"cols": 2**31}}}), "invalid_argument"),
        (frame({**ECHO, "pty": {}}), "invalid_argument"),
    ],
)
def test_a_broken_stream(service: Service, body: bytes, code: str) -> None:
    assert stream_error(service.http.post(START, content=body, headers=STREAM)) == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Connect-Timeout-Ms": "soon"}, "invalid_argument"),
        ({"Connect-Timeout-Ms": "-1"}, "invalid_argument"),
        ({"Connect-Timeout-Ms": "9" * 11}, "invalid_argument"),
        ({"Keepalive-Ping-Interval": "1e9"}, None),
    ],
)
def test_a_broken_header_of_a_stream(
    service: Service, headers: dict[str, str], code: str | None
) -> None:
    answer = service.http.post(START, content=frame(ECHO), headers={**STREAM, **headers})
    assert stream_error(answer) == code


def test_another_user(service: Service) -> None:
    value = base64.b64encode(b"nobody-at-all:").decode()
    headers = {"Authorization": f"Basic {value}", "X-Access-Token": TOKEN, **STREAM}
    with service.client(None) as client:
        answer = client.post(START, content=frame(ECHO), headers=headers)
    assert stream_error(answer) == "permission_denied"


@pytest.mark.parametrize(
    ("procedure", "body", "status", "code"),
    [
        ("process.Process/List", b"", 400, "invalid_argument"),
        ("process.Process/List", b"{", 400, "invalid_argument"),
        ("process.Process/SendInput", b"{}", 400, "invalid_argument"),
        ("process.Process/SendInput", b'{"process":{"pid":99999999}}', 404, "not_found"),
        ("process.Process/SendInput", b'{"process":{"pid":-1}}', 400, "invalid_argument"),
        ("process.Process/SendInput", b'{"process":{"pid":1e99}}', 400, "invalid_argument"),
        ("process.Process/SendInput", b'{"process":{"pid":1,"tag":"a"}}', 400, "invalid_argument"),
        ("process.Process/SendInput", b'{"input":{"stdin":"*"}}', 400, "invalid_argument"),
        ("process.Process/SendInput", b'{"input":{"stdin":"YQ"}}', 400, "invalid_argument"),
        ("process.Process/SendSignal", b'{"signal":"SIGNAL_X"}', 400, "invalid_argument"),
        ("process.Process/Update", b'{"process":{"tag":"none"}}', 404, "not_found"),
        ("process.Process/CloseStdin", b'{"process":{"tag":"\\ud800"}}', 404, "not_found"),
        ("process.Process/Nothing", b"{}", 404, "unimplemented"),
        ("filesystem.Filesystem/Nothing", b"{}", 404, "unimplemented"),
        ("filesystem.Filesystem/Stat", b"{}", 400, "invalid_argument"),
        ("filesystem.Filesystem/Stat", b'{"path":"/a\\u0000b"}', 400, "invalid_argument"),
        ("filesystem.Filesystem/Stat", b'{"path":"/none"}', 404, "not_found"),
        ("filesystem.Filesystem/Stat", b'{"path":["/"]}', 400, "invalid_argument"),
        ("filesystem.Filesystem/ListDir", b'{"path":"/none"}', 404, "not_found"),
        ("filesystem.Filesystem/ListDir", b'{"path":"/","depth":-1}', 400, "invalid_argument"),
        ("filesystem.Filesystem/MakeDir", b'{"path":"/tmp"}', 409, "already_exists"),
        ("filesystem.Filesystem/MakeDir", b'{"path":"/etc/passwd/x"}', 400, "invalid_argument"),
        ("filesystem.Filesystem/Move", b'{"source":"/none","destination":"/x"}', 404, "not_found"),
        ("filesystem.Filesystem/CreateWatcher", b'{"path":"/none"}', 404, "not_found"),
        ("filesystem.Filesystem/CreateWatcher", b'{"path":"/etc/passwd"}', 400, "invalid_argument"),
        ("filesystem.Filesystem/GetWatcherEvents", b'{"watcherId":"x"}', 404, "not_found"),
        ("filesystem.Filesystem/RemoveWatcher", b"{}", 404, "not_found"),
    ],
)
def test_a_broken_call(
    service: Service, procedure: str, body: bytes, status: int, code: str
) -> None:
    answer = service.http.post(f"/e2b/{procedure}", content=body, headers=UNARY)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert isinstance(answer.json()["message"], str)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "application/proto"}, "invalid_argument"),
        ({"Content-Type": "text/plain"}, "invalid_argument"),
        (STREAM, "invalid_argument"),
        ({**UNARY, "Content-Encoding": "gzip"}, "unimplemented"),
    ],
)
def test_another_form_of_a_call(service: Service, headers: dict[str, str], code: str) -> None:
    answer = service.http.post("/e2b/process.Process/List", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, code)


def test_a_message_that_is_too_long(service: Service) -> None:
    body = b'{"path":"' + b"x" * (4 << 20) + b'"}'
    answer = service.http.post("/e2b/filesystem.Filesystem/Stat", content=body, headers=UNARY)
    assert (answer.status_code, answer.json()["code"]) == (413, "resource_exhausted")


def test_every_operation_needs_the_token(service: Service) -> None:
    paths = service.http.get("/openapi.json").json()["paths"]
    tried = 0
    with service.client(None) as client:
        for path, methods in paths.items():
            for method in methods if path.startswith("/e2b/") else ():
                answer = client.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, path
                procedure = "process.P" in path or "filesystem.F" in path
                assert answer.json()["code"] == ("unauthenticated" if procedure else 401)
                tried += 1
    assert tried > 20


@pytest.mark.parametrize("header", ["X-Access-Token", "X-API-Key"])
def test_the_token_in_a_header_of_the_wire(service: Service, header: str) -> None:
    with service.client(None) as client:
        assert client.get("/e2b/envs", headers={header: TOKEN}).status_code == 200
        assert client.get("/e2b/envs", headers={header: TOKEN + "x"}).status_code == 401
        assert client.get("/e2b/envs", headers={header: ""}).status_code == 401
        # It is the wire's: other groups have no such header.
        assert client.get("/files", headers={header: TOKEN}).status_code == 401


def signed(path: str, operation: str, expiration: str = "", token: str = TOKEN) -> dict[str, str]:
    text = f"{path}:{operation}::{token}" + (f":{expiration}" if expiration else "")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    found = {"path": path, "signature": f"v1_{digest}"}
    return {**found, "signature_expiration": expiration} if expiration else found


def test_signed_urls(service: Service) -> None:
    path = str(service.work_dir / "signed.txt")
    later, before = str(int(time.time()) + 600), str(int(time.time()) - 600)
    files = {"file": ("other.txt", b"content")}
    with service.client(None) as client:

        def status(method: str, query: dict[str, str]) -> int:
            options: dict[str, Any] = {"files": files} if method == "POST" else {}
            return client.request(method, "/e2b/files", params=query, **options).status_code

        assert status("POST", signed(path, "write", later)) == 200
        assert client.get("/e2b/files", params=signed(path, "read")).content == b"content"
        assert status("GET", signed(path, "read", later)) == 200
        for query in (
            signed(path, "read", before),
            signed(path, "write"),
            signed(path, "read", token="another"),
            signed(path, "read") | {"path": "/etc/passwd"},
            signed(path, "read") | {"username": "root"},
            signed(path, "read", "9" * 30),
            signed(path, "read", "soon"),
        ):
            assert status("GET", query) == 401, query


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}, b"no gzip"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\n"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n"),
        ({"Content-Type": "multipart/form-data"}, b"--x--\r\n"),
        ({"Content-Type": "application/octet-stream", "X-Metadata-a": "x\ty"}, b""),
    ],
)
def test_a_broken_upload(service: Service, headers: dict[str, str], content: bytes) -> None:
    path = service.work_dir / "broken.txt"
    answer = service.http.post(
        "/e2b/files", params={"path": str(path)}, headers=headers, content=content
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    assert not path.exists()


def test_variables(service: Service) -> None:
    assert service.http.post("/e2b/init", json={"envVars": {"A=B": "x"}}).status_code == 400
    assert service.http.post("/e2b/init", json={"envVars": {"WORD": "given"}}).status_code == 204
    shown = {"process": {"cmd": "/bin/sh", "args": ["-c", "echo $WORD"]}}
    answer = service.http.post(START, content=frame(shown), headers=STREAM)
    assert base64.b64encode(b"given\n") in answer.content
    assert service.http.get("/e2b/envs").json() == {"WORD": "given"}
    assert service.http.post("/e2b/init", json={"envVars": {}}).status_code == 204


def test_the_number_of_watchers_is_bounded(make_service: Any) -> None:
    service = make_service(settings=SETTINGS)
    body = json.dumps({"path": str(service.work_dir)}).encode()
    url = "/e2b/filesystem.Filesystem/CreateWatcher"
    answers = [service.http.post(url, content=body, headers=UNARY) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert answers[4].json()["code"] == "resource_exhausted"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "v2/sandboxes", b"", 400),
        ("POST", "v2/sandboxes", b"{", 400),
        ("POST", "v2/sandboxes", b"{}", 400),
        ("POST", "v2/sandboxes", b'{"templateID":1}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"base","timeout":-1}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"base","timeout":0}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"base","timeout":1e99}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"base","metadata":{"a":1}}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"base","envVars":{"A=B":"x"}}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"\\u0000"}', 400),
        ("POST", "v2/sandboxes", b'{"templateID":"base","autoPause":true}', 501),
        ("POST", "v2/sandboxes", b'{"templateID":"base","network":{"denyOut":["x"]}}', 501),
        ("GET", "v2/sandboxes?limit=0", b"", 400),
        ("GET", "v2/sandboxes?limit=x", b"", 400),
        ("GET", "v2/sandboxes?order=up", b"", 400),
        ("POST", "sandboxes/no-such/timeout", b'{"timeout":"soon"}', 400),
        ("GET", "sandboxes/box/metrics?start=-1", b"", 400),
        ("GET", "nothing", b"", 404),
    ],
)
def test_a_broken_request_for_sandboxes(
    service: Service, method: str, path: str, body: bytes, status: int
) -> None:
    answer = service.http.request(method, f"/e2b/{path}", content=body, headers=UNARY)
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert isinstance(answer.json()["message"], str)


def test_a_page_that_was_never_issued(service: Service) -> None:
    answer = service.http.get("/e2b/v2/sandboxes", params={"nextToken": "\x00\ud7ff"})
    assert (answer.status_code, answer.json()) == (200, [])


def test_a_filter_by_an_empty_value(service: Service) -> None:
    listed = "/e2b/v2/sandboxes"
    assert len(service.http.get(listed).json()) == 1
    assert service.http.get(listed, params={"metadata": "none="}).json() == []


def test_without_the_other_groups(make_service: Any) -> None:
    service = make_service(settings='[plugins]\nenable = ["e2b"]\n')
    answer = service.http.post("/e2b/filesystem.Filesystem/Stat", json={"path": "/"})
    assert (answer.status_code, answer.json()["code"]) == (501, "unimplemented")
    assert stream_error(service.http.post(START, content=frame(ECHO), headers=STREAM)) == (
        "unimplemented"
    )
    for path in ("v2/sandboxes", "sandboxes/any", "metrics"):
        answer = service.http.get(f"/e2b/{path}")
        assert (answer.status_code, answer.json()["code"]) == (501, 501)
    assert service.http.get("/e2b/health").status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:49983"},
        {"Host": "49983-any.sandboxes.example"},
        {"E2b-Sandbox-Id": "any", "E2b-Sandbox-Port": "49983"},
    ],
)
def test_the_hosts_that_clients_ask_for(service: Service, headers: dict[str, str]) -> None:
    assert service.http.get("/health", headers=headers).status_code == 204
    missing = service.http.get("/files", params={"path": "/none"}, headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, 404)
    # What isn't E2B's stays what it is, and so does everything for other hosts.
    assert service.http.get("/process/pty", headers=headers).json() == {"sessions": []}
    assert isinstance(service.http.get("/files").json(), list)


def test_a_tag_is_of_one_process_at_a_time(service: Service) -> None:
    sleep = {"process": {"cmd": "/bin/sleep", "args": ["600"]}, "tag": "only"}

    def start(_: int) -> bytes:
        with service.http.stream("POST", START, content=frame(sleep), headers=STREAM) as response:
            return next(response.iter_bytes())

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(start, range(8)))
    assert sum(b'"start"' in data for data in first) == 1
    assert sum(b'"already_exists"' in data for data in first) == 7
    kill = {"process": {"tag": "only"}, "signal": "SIGNAL_SIGKILL"}
    assert service.http.post("/e2b/process.Process/SendSignal", json=kill).status_code == 200


def test_input_after_its_end_does_not_wait_for_what_is_not_read(service: Service) -> None:
    process = {"process": {"tag": "deaf"}}
    sleep = {"process": {"cmd": "/bin/sleep", "args": ["600"]}, "tag": "deaf", "stdin": True}

    def post(name: str, **fields: Any) -> httpx.Response:
        return service.http.post(f"/e2b/process.Process/{name}", json={**process, **fields})

    with service.http.stream("POST", START, content=frame(sleep), headers=STREAM) as response:
        next(response.iter_bytes())
        # More than may wait for a program, in one message: no other has to.
        data = {"stdin": base64.b64encode(bytes(1_300_000)).decode()}
        assert post("SendInput", input=data).status_code == 200
        assert post("CloseStdin").status_code == 200
        assert post("SendInput", input={"stdin": "aGk="}).json()["code"] == "not_found"
        assert post("SendSignal", signal="SIGNAL_SIGKILL").status_code == 200


def test_a_stream_ends_with_the_service(make_service: Any) -> None:
    service = make_service()
    sleep = {"process": {"cmd": "/bin/sleep", "args": ["600"]}}
    with service.http.stream("POST", START, content=frame(sleep), headers=STREAM) as response:
        chunks = response.iter_bytes()
        first = next(chunks)
        service.process.terminate()
        flags, end = frames(first + b"".join(chunks))[-1]
    assert (flags, end["error"]["code"]) == (2, "unavailable")
    assert service.process.wait(DEADLINE) == 0


def test_input_for_nobody_is_refused_while_it_comes(service: Service) -> None:
    message = frame({"start": {"process": {"pid": 99999999}}})
    head = (
        "POST /e2b/process.Process/StreamInput HTTP/1.1\r\nHost: localhost\r\n"
        f"X-Access-Token: {TOKEN}\r\nContent-Type: application/connect+json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as client:
        client.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(message), message))
        # The client has not ended its body, and gets the error all the same.
        received = b""
        while data := client.recv(65536):
            received += data
    assert b"200 OK" in received
    assert b'"not_found"' in received


def test_a_stream_that_nobody_reads_ends(make_service: Any) -> None:
    service = make_service(settings="[e2b]\nmax_streams = 1\n")
    sleep = {"process": {"cmd": "/bin/sleep", "args": ["600"]}, "tag": "sleeper"}
    with service.http.stream("POST", START, content=frame(sleep), headers=STREAM) as response:
        next(response.iter_bytes())
        busy = service.http.post(START, content=frame(ECHO), headers=STREAM)
        assert stream_error(busy) == "resource_exhausted"

    def has_place() -> bool:
        answer = service.http.post(START, content=frame(ECHO), headers=STREAM)
        return stream_error(answer) is None

    service.wait_for(has_place, "the end of the stream")
    # The process goes on without it.
    listed = service.http.post("/e2b/process.Process/List", json={}).json()
    assert [each["tag"] for each in listed["processes"]] == ["sleeper"]
    ended = {"process": {"tag": "sleeper"}, "signal": "SIGNAL_SIGKILL"}
    assert service.http.post("/e2b/process.Process/SendSignal", json=ended).status_code == 200

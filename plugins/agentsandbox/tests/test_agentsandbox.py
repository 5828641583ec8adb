"""The runtime's wire: at its root, on its port, and with input that no client sends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import Service

ROOT = "/agentsandbox"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is the runtime on its own port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = (
            f'[agentsandbox]\nports = [{port}]\nroot = "base"\n'
            '[plugins]\nenable = ["agentsandbox", "process", "files"]\n'
        )
        directory = tmp_path_factory.mktemp("runtime")
        (directory / "work" / "base").mkdir(parents=True)
        service = Service(directory, settings=settings, listener=listener)
    try:
        yield service
    finally:
        service.stop()


def test_paths_are_the_same_at_the_root_of_its_port(runtime: Service) -> None:
    for root in ("", ROOT):
        with runtime.client(None) as stranger:
            assert stranger.get(f"{root}/").json() == {"status": "ok"}
            assert stranger.get(f"{root}/v1/health").json() == {"status": "ok"}
            for path in ("/list/", "/v1/files/", "/v1/metadata", "/exists/x", "/download/x"):
                assert stranger.get(root + path).status_code == 401
            assert stranger.post(f"{root}/execute", json={"command": "true"}).status_code == 401
            assert stranger.put(f"{root}/v1/files/x", content=b"x").status_code == 401
        result = runtime.http.post(f"{root}/execute", json={"command": "pwd"}).json()
        assert result["stdout"] == f"{runtime.work_dir}/base\n"
    # What isn't the runtime's stays the service's.
    assert runtime.http.get("/plugins").status_code == 200


def test_other_ports_have_no_runtime_at_their_root(make_service: Any) -> None:
    service = make_service(settings='[plugins]\nenable = ["agentsandbox"]\n')
    assert service.http.post("/execute", json={"command": "true"}).status_code == 404
    # Without the groups that do the work it says so.
    response = service.http.post(f"{ROOT}/execute", json={"command": "true"})
    assert response.status_code == 501
    assert "group 'process'" in response.json()["message"]
    assert service.http.get(f"{ROOT}/list/").status_code == 501
    assert service.http.get(f"{ROOT}/v1/metadata").json()["name"] == "sandbox-toolbox"


def test_what_a_shell_would_refuse_is_a_result(runtime: Service) -> None:
    def run(command: str) -> dict[str, Any]:
        found: dict[str, Any] = runtime.http.post("/execute", json={"command": command}).json()
        return found

    assert run("kill -9 $$")["exit_code"] == 137
    assert run("nosuchprogram")["exit_code"] == 127
    assert run(" ")["exit_code"] == -1
    assert run("printf '\\377'")["stdout"] == "\ufffd"


def test_a_command_that_outlives_its_shell_does_not_hold_the_answer(runtime: Service) -> None:
    result = runtime.http.post("/execute", json={"command": "sleep 600 & echo started"}).json()
    assert result == {"stdout": "started\n", "stderr": "", "exit_code": 0, "timed_out": False}


def test_an_upload_that_breaks_off_changes_nothing(runtime: Service) -> None:
    (runtime.work_dir / "base" / "kept.txt").write_text("before")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="kept.txt"\r\n\r\nafter'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (head, head + b"\r\n" + head):
        response = runtime.http.post("/upload", content=body, headers=kind)
        assert response.status_code == 400, body
    # Half of a body, with the length of all of it.
    with socket.create_connection(("127.0.0.1", runtime.port), DEADLINE) as client:
        client.sendall(
            b"PUT /v1/files/kept.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            + f"Authorization: Bearer {runtime.token}\r\n\r\nhalf".encode()
        )
        client.shutdown(socket.SHUT_WR)
        assert b" 400 " in client.makefile("rb").readline()
    assert (runtime.work_dir / "base" / "kept.txt").read_text() == "before"


def test_paths_stay_below_the_root(runtime: Service) -> None:
    (runtime.work_dir / "secret").write_text("secret")
    for path in ("..%2Fsecret", "%2E%2E/secret", "a/%2E%2E/%2E%2E/secret", "%2F%2E%2E%2Fsecret"):
        assert runtime.http.get(f"/v1/files/{path}").status_code == 403, path
        assert runtime.http.get(f"/download/{path}").status_code == 403, path
        assert runtime.http.put(f"/v1/files/{path}", content=b"x").status_code == 403, path
    # A slash at the beginning is the root's.
    assert runtime.http.put("/v1/files/%2Fetc%2Fnew", content=b"x").status_code == 204
    assert (runtime.work_dir / "base" / "etc" / "new").read_bytes() == b"x"
    for path in ("", "%2E", "%2F", "etc/%2E%2E"):
        assert runtime.http.delete(f"/v1/files/{path}?recursive=true").status_code in (400, 403)
    assert (runtime.work_dir / "base").is_dir()


def test_entries_of_every_kind_are_listed(runtime: Service) -> None:
    folder = runtime.work_dir / "base" / "kinds"
    folder.mkdir()
    (folder / "down").mkdir()
    (folder / "pipe.fifo").symlink_to("/dev/null")
    (folder / "a\u00e4\udc80").touch()
    entries = runtime.http.get("/v1/files/kinds").json()["entries"]
    kinds = {one["name"][-4:]: one["type"] for one in entries}
    assert (kinds["down"], kinds["fifo"], len(kinds)) == ("directory", "other", 3)
    assert len(runtime.http.get("/list/kinds").json()) == 3


BAD_BODIES: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"command": 1}',
    b'{"command": "\xff"}',
    b'{"command": "true", "timeout_seconds": 1e999}',
    b'{"command": "true", "timeout_seconds": -1}',
    b'{"command": "true", "timeout_seconds": "soon"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_bad_bodies_are_refused(runtime: Service, body: bytes) -> None:
    response = runtime.http.post("/execute", content=body)
    assert response.status_code == 400
    assert response.json()["source"] == "AGENT_SANDBOX"


@pytest.mark.parametrize("command", ["a\\u0000b", "\\ud800", "\\udfff x"])
def test_commands_that_no_program_can_be_given_are_results(runtime: Service, command: str) -> None:
    response = runtime.http.post("/execute", content=f'{{"command": "{command}"}}')
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert response.json()["exit_code"] in (-1, 127)


@pytest.mark.parametrize("path", ["a%00b", "x" * 5000, "%FF%FE", "%ED%A0%80", "a/" * 3000])
def test_strange_paths_are_clear_errors(runtime: Service, path: str) -> None:
    for method, url in (
        ("GET", f"/download/{path}"),
        ("GET", f"/list/{path}"),
        ("GET", f"/exists/{path}"),
        ("GET", f"/v1/files/{path}"),
        ("HEAD", f"/v1/files/{path}"),
        ("DELETE", f"/v1/files/{path}"),
    ):
        status = runtime.http.request(method, url).status_code
        assert (
            status == 200 if url.startswith("/exists/%") else 400 <= status < 500 or status == 200
        )


def test_a_name_that_is_no_utf_8(runtime: Service) -> None:
    name = b"caf\xe9 \xff"
    assert runtime.http.put("/v1/files/caf%E9%20%FF", content=b"x").status_code == 204
    assert name in os.listdir(os.fsencode(runtime.work_dir / "base"))
    for url in ("/download/caf%E9%20%FF", "/v1/files/caf%E9%20%FF"):
        assert runtime.http.get(url).content == b"x"
    listed = runtime.http.get("/list/").json()
    (shown,) = [each["name"] for each in listed if each["name"].startswith("caf")]
    assert runtime.http.get(f"/v1/files/{quote(shown)}").content == b"x"
    assert runtime.http.delete("/v1/files/caf%E9%20%FF").status_code == 204
    assert name not in os.listdir(os.fsencode(runtime.work_dir / "base"))


def test_many_at_once(runtime: Service) -> None:
    def one(number: int) -> bool:
        name = f"many/{number}"
        put = runtime.http.put(f"/v1/files/{name}", content=b"%d" % number)
        command = {"command": f"cat {name}"}
        result = runtime.http.post("/execute", json=command).json()
        return put.status_code == 204 and result["stdout"] == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(24)))


def test_a_listing_of_what_is_no_directory(runtime: Service) -> None:
    Path(runtime.work_dir / "base" / "file").touch()
    assert runtime.http.get("/list/file").status_code == 400
    assert runtime.http.get("/list/nothing").status_code == 404
    assert runtime.http.get("/download/").status_code == 400
    with pytest.raises(httpx.HTTPStatusError):
        runtime.http.get("/v1/files/nothing").raise_for_status()

"""Bytes nobody has thought of: on a WebSocket, instead of a request, as patterns and paths, and
through each parser of ours with atheris.

``TOOLBOX_FAULTS_SECONDS`` is how long atheris tries each parser.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from toolbox.testing import DEADLINE
from toolbox.testing import Service

SECONDS = os.environ.get("TOOLBOX_FAULTS_SECONDS", "2")
EXAMPLES = int(os.environ.get("TOOLBOX_FAULTS_EXAMPLES", "10")) * 4
FUZZER = Path(__file__).with_name("fuzz_parsers.py")
PARSERS = ["multipart", "framing", "names", "globs", "environment", "hotkeys"]

SERVED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SOCKETS = [
    "/process/pty/create-connect?id=fuzz",
    "/process/interpreter/execute",
    "/api/socket.io/?EIO=4&transport=websocket",
]


@pytest.mark.parametrize("name", PARSERS)
def test_no_bytes_make_a_parser_of_ours_fail(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZER), name, f"-max_total_time={SECONDS}", "-max_len=400"]
    options = ["-timeout=20", "-seed=1"]  # The same bytes each time, and more with more time.
    run = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    assert "Done" in run.stderr


def exchange(service: Service, data: bytes) -> bytes:
    """What comes back for ``data`` and nothing more."""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        answer = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while more := sock.recv(65536):
                answer += more
        return answer


def check(service: Service) -> None:
    assert service.http.get("/readyz").status_code == 200
    assert "Traceback" not in service.log()


LINES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda method, target, headers, body: b"\r\n".join(
            [b"%s %s HTTP/1.1" % (method, target), b"Host: x", *headers, b"", body]
        ),
        st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PRI", b"get", b"\xff"]),
        st.one_of(
            st.sampled_from([b"*", b"//x/version", b"http://x/version", b"/files?path=%", b"/%%"]),
            st.binary(min_size=1, max_size=50).map(lambda data: b"/" + data),
        ),
        st.lists(
            st.one_of(
                st.binary(max_size=60),
                st.sampled_from(
                    [
                        b"Content-Length: 5",
                        b"Content-Length: -1",
                        b"Content-Length: 99999999999999999999",
                        b"Transfer-Encoding: chunked",
                        b"Transfer-Encoding: gzip, chunked",
                        b"Connection: Upgrade",
                        b"Upgrade: websocket",
                        b"Upgrade: h2c",
                        b"Expect: 100-continue",
                        b"Expect: x",
                        b"Range: bytes=5-2",
                        b"Authorization: Bearer a-token-for-tests",
                        b"Content-Type: multipart/form-data",
                    ]
                ),
            ),
            max_size=5,
        ),
        st.binary(max_size=100),
    ),
)


def test_what_is_no_request_is_refused(service: Service) -> None:
    # AC-91
    @SERVED
    @given(LINES)
    def send(data: bytes) -> None:
        answer = exchange(service, data)
        if answer:
            status = int(answer.split()[1])
            assert status < 500 or status in (501, 505), answer

    send()
    check(service)


FRAMES = st.builds(
    lambda first, masked, data, mask: (
        bytes([first, (0x80 if masked else 0) | min(len(data), 126)])
        + (struct.pack("!H", len(data)) if len(data) >= 126 else b"")
        + (mask if masked else b"")
        + data
    ),
    st.integers(0, 255),
    st.booleans(),
    st.binary(max_size=200),
    st.binary(min_size=4, max_size=4),
)


@pytest.mark.parametrize("path", SOCKETS)
def test_what_is_no_frame_ends_its_socket_and_nothing_else(service: Service, path: str) -> None:
    # AC-32
    upgrade = UPGRADE.format(path=path, token=service.token).encode()

    @SERVED
    @given(st.lists(st.one_of(FRAMES, st.binary(max_size=50)), max_size=6))
    def send(frames: list[bytes]) -> None:
        answer = exchange(service, upgrade + b"".join(frames))
        assert answer.split()[1] in (b"101", b"409"), answer[:200]
        service.http.delete("/process/pty/fuzz")

    send()
    check(service)


PATHS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="/.~*?[]{}!^-\\ab\0\n\U0010f7e9", max_size=30),
    st.lists(st.sampled_from(["..", ".", "", "a", "x" * 256, "~"]), max_size=40).map("/".join),
)


def test_any_path_and_pattern_is_answered(confined: Service) -> None:
    # AC-54, AC-56, AC-91
    http = confined.http
    for name in ("a", "b[", "x.txt", "\\", "-"):
        http.post("/files/upload-v2", params={"path": f"globs/{name}"}, content=b"text\n")

    @SERVED
    @given(PATHS, PATHS)
    def ask(path: str, pattern: str) -> None:
        for answer in (
            http.get("/files", params={"path": path, "depth": 1}),
            http.get("/files/info", params={"path": path}),
            http.get("/files/download", params={"path": path}),
            http.get("/files/search", params={"path": "globs", "pattern": pattern}),
            http.get("/files/find", params={"path": "globs", "pattern": pattern}),
            http.post("/files/folder", params={"path": path, "mode": "755"}),
            http.post("/files/move", params={"source": path, "destination": pattern}),
            http.get("/git/status", params={"path": path}),
        ):
            assert answer.status_code < 500, (path, pattern, answer.text)

    ask()
    check(confined)

"""``toolbox serve --fd``: on a socket that another program listens on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

MakeService = Callable[..., Service]
Listen = Callable[..., socket.socket]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Listen on a free port: ``listen(host, family=...)``."""
    with contextlib.ExitStack() as opened:

        def make(host: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
            sock = opened.enter_context(socket.socket(family))
            sock.bind((host, 0))
            sock.listen()
            return sock

        yield make


def refusal(*arguments: str, fds: tuple[int, ...] = (), **environ: str) -> str:
    """Return what ``toolbox serve`` writes when it refuses ``arguments``."""
    result = subprocess.run(
        [sys.executable, "-m", "toolbox", "serve", *arguments],
        env={**os.environ, "TOOLBOX_TOKEN": TOKEN, **environ},
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def responds(service: Service) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return service.http.get("/plugins").status_code == 200
    return False


def test_it_serves_who_connected_before_and_tells_the_port(
    make_service: MakeService, listen: Listen
) -> None:
    listener = listen()
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as early:
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        service = make_service(listener=listener)
        assert early.recv(12) == b"HTTP/1.1 200"
    assert service.port == port
    service.wait_for(lambda: f"Starting toolbox server on port {port}\n" in service.log())


def test_it_survives_a_worker_and_a_hangup(make_service: MakeService, listen: Listen) -> None:
    service = make_service(listener=listen())
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "read again" in service.log(), "the hangup")
    assert responds(service)
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    service.wait_for(lambda: service.workers() not in ([], [worker]), "another worker")
    service.wait_for(lambda: responds(service), "a response")


def test_ipv6(make_service: MakeService, listen: Listen) -> None:
    service = make_service(listener=listen("::1", socket.AF_INET6))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://[::1]:{service.port}/plugins"
    assert httpx.get(url, headers=headers, timeout=DEADLINE).status_code == 200


def test_jobs_do_not_inherit_it(make_service: MakeService, listen: Listen) -> None:
    # By its inode: a job has other descriptors of the same number.
    listener = listen()
    inode = os.fstat(listener.fileno()).st_ino
    service = make_service(listener=listener)
    command = "readlink /proc/self/fd/* /proc/$$/fd/*"
    body = {"command": command}
    shown = service.http.post("/process/execute", json=body).json()["result"]
    assert "pipe:" in shown
    assert f"socket:[{inode}]" not in shown
    master = Path(f"/proc/{service.process.pid}/fd")
    assert f"socket:[{inode}]" in [os.readlink(fd) for fd in master.iterdir()]


def test_systemds_variables_for_the_same_socket_are_ignored(
    make_service: MakeService, listen: Listen
) -> None:
    # A socket unit passes descriptor 3, and its number in the environment.
    listener = listen()
    script = (
        f"import os, sys; os.dup2({listener.fileno()}, 3); "
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
        "os.execv(sys.executable, [sys.executable, '-m', 'toolbox', 'serve', '--fd', '3'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "TOOLBOX_TOKEN": TOKEN},
        pass_fds=[listener.fileno()],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == (
                f"Starting toolbox server on port {listener.getsockname()[1]}\n"
            )
        finally:
            process.terminate()
        assert process.wait(DEADLINE) == 0


def test_an_address_that_others_reach_needs_a_token(listen: Listen) -> None:
    fd = listen("0.0.0.0").fileno()
    assert "a token is needed" in refusal("--fd", str(fd), fds=(fd,), TOOLBOX_TOKEN="")


@pytest.mark.parametrize("fd", ["x", "-1", "", " 0", "٣", "12345678901234567890"])
def test_text_that_is_no_descriptor_is_refused(fd: str) -> None:
    assert refusal(f"--fd={fd}") == f"toolbox: --fd {fd}: not a file descriptor\n"


def test_a_descriptor_that_is_no_listening_tcp_socket_is_refused(
    tmp_path: Path, listen: Listen
) -> None:
    assert refusal("--fd", "0") == "toolbox: --fd 0: Socket operation on non-socket\n"
    assert refusal("--fd", "987") == "toolbox: --fd 987: Bad file descriptor\n"
    with (
        socket.socket() as deaf,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as local,
        socket.create_connection(listen().getsockname()) as connected,
    ):
        local.bind(str(tmp_path / "socket"))
        local.listen()
        for sock in (deaf, datagrams, local, connected):
            fd = sock.fileno()
            text = refusal("--fd", str(fd), fds=(fd,))
            assert text == f"toolbox: --fd {fd}: not a listening TCP socket\n"


@pytest.mark.parametrize("option", ["--host=::1", "--port=0"])
def test_an_address_beside_it_is_refused(listen: Listen, option: str) -> None:
    fd = listen().fileno()
    assert "leave --host and --port out" in refusal("--fd", str(fd), option, fds=(fd,))

"""Servers to measure, and a client that costs little beside them."""

from __future__ import annotations

import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOKEN = "bench"
HELLO = """
from flask import Flask
app = Flask(__name__)
@app.get("/version")
def version():
    return {"version": "v1"}
"""


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int
    started: float
    """Seconds from exec to the first answer."""

    def memory(self) -> int:
        """Bytes of memory of it and its children (RSS)."""
        found = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, parent = (
                    int(stat.parent.name),
                    int(stat.read_text().rpartition(")")[2].split()[1]),
                )
                if self.pid in (pid, parent):
                    found += int((stat.parent / "statm").read_text().split()[1])
            except OSError:
                continue
        return found * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(command: list[str], port: int, cwd: str, env: dict[str, str]) -> Iterator[Server]:
    """Run ``command`` until it answers on ``port``, and end it afterwards."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                request(port, b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                break
            except OSError:
                time.sleep(0.001)
        yield Server(process.pid, port, time.monotonic() - began)
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def toolbox() -> Iterator[Server]:
    """This service, with every installed plugin."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "toolbox", "serve", "--port", str(port)]
        env = {**os.environ, "TOOLBOX_TOKEN": TOKEN, "TOOLBOX_CONFIG": os.devnull}
        with serving(command, port, directory, env) as server:
            yield server


@contextmanager
def stock() -> Iterator[Server]:
    """A Flask application of one route under gunicorn's own gthread worker."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "hello.py").write_text(HELLO)
        command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "64"]
        command += ["--keep-alive", "75", "-b", f"127.0.0.1:{port}", "hello:app"]
        with serving(command, port, directory, dict(os.environ)) as server:
            yield server


def request(port: int, data: bytes) -> bytes:
    """One answer, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(data)
        answer = b""
        while more := sock.recv(65536):
            answer += more
        return answer


def http(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request on a kept connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Load:
    """What a number of clients saw."""

    rate: float
    """Requests a second."""
    p50: float
    p99: float
    """Seconds."""


def load(port: int, data: bytes, clients: int, seconds: float) -> Load:
    """Send ``data`` on ``clients`` connections again and again; every answer must be a 200."""
    poll = select.epoll()
    sockets = {}
    for _ in range(clients):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(sock, select.EPOLLIN)
        sockets[sock.fileno()] = sock
    sent, buffers, times = {}, dict.fromkeys(sockets, b""), []
    end = time.perf_counter() + seconds
    began = time.perf_counter()
    for fd, sock in sockets.items():
        sent[fd] = time.perf_counter()
        sock.sendall(data)
    while time.perf_counter() < end:
        for fd, _ in poll.poll(1):
            buffers[fd] += sockets[fd].recv(65536)
            if not _complete(buffers[fd]):
                continue
            now = time.perf_counter()
            times.append(now - sent[fd])
            buffers[fd], sent[fd] = b"", now
            sockets[fd].sendall(data)
    took = time.perf_counter() - began
    for sock in sockets.values():
        sock.close()
    times.sort()
    return Load(len(times) / took, times[len(times) // 2], times[len(times) * 99 // 100])


def _complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def posix_spawn() -> float:
    """Seconds to run ``true`` in the shell the service takes, with its output on a pipe, the
    median: the least an execute can take.
    """
    shell = shutil.which("zsh") or shutil.which("bash") or "/bin/sh"
    times = []
    for _ in range(200):
        began = time.perf_counter()
        reader, writer = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)]
        pid = os.posix_spawn(shell, [shell, "-c", "true"], os.environ, file_actions=actions)
        os.close(writer)
        while os.read(reader, 65536):
            pass
        os.close(reader)
        os.waitpid(pid, 0)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def median(rounds: int, measure: Callable[[], float]) -> float:
    """The median of several measurements."""
    return statistics.median(measure() for _ in range(rounds))

"""The core: start, memory, the smallest requests, commands, sockets, and who waits for whom."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager

import websocket

from bench.clients import TOKEN
from bench.clients import http
from bench.clients import load
from bench.clients import request
from bench.frame import Bench
from bench.frame import Measure
from bench.frame import Row
from bench.frame import Sample
from bench.frame import timed
from bench.servers import Server
from bench.servers import environment
from bench.servers import stock
from bench.servers import swe_rex
from bench.servers import toolbox

VERSION = http("GET", "/version")
WORK_DIR = http("GET", "/work-dir")
EXECUTE = http("POST", "/process/execute", b'{"command": "true"}')
SWE_REX_KEY = f"X-API-Key: {TOKEN}\r\n"
SWE_REX_ALIVE = http("GET", "/is_alive", headers=SWE_REX_KEY)
SHELL = shutil.which("zsh") or shutil.which("bash") or "/bin/sh"
"""The one that the service takes; the peer, left alone, takes ``sh``, which starts sooner."""
SWE_REX_EXECUTE = http(
    "POST",
    "/execute",
    json.dumps({"command": [SHELL, "-c", "true"]}).encode(),
    f"{SWE_REX_KEY}Content-Type: application/json\r\n",
)
BUSY = '''
import time
from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec

group = Group("busy", backend=object, default_backend="python")

@group.post("/x/busy", status=204)
def busy(backend: object) -> None:
    """Keep the interpreter busy for two seconds."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        pass

class Python:
    def __init__(self, settings, context):
        pass

@hookimpl
def toolbox_group():
    return group

@hookimpl
def toolbox_backends():
    return [BackendSpec(group="busy", name="python", target="busy:Python")]
'''


def bench_start(bench: Bench) -> Iterator[Row]:
    """From exec to the first answer, and the memory then."""

    def seconds(server: Callable[[], AbstractContextManager[Server]]) -> float:
        with server() as running:
            return running.started * 1e3

    def memory(server: Callable[[], AbstractContextManager[Server]]) -> float:
        with server() as running:
            return running.memory() / 1e6

    peer = {"swe-rex": swe_rex} if bench.peers else {}
    for server in (toolbox, stock, *peer.values()):
        seconds(server)  # Compiles what isn't yet.
    yield Row(
        "start to first answer",
        "ms",
        ours=lambda: seconds(toolbox),
        limit=("Flask", lambda: seconds(stock)),
        peers={name: functools.partial(seconds, each) for name, each in peer.items()},
        floor="<= 300, <= 0.6x swe-rex",
        stretch="<= 170",
    )
    yield Row(
        "start to first answer, over importing Flask",
        "ms",
        ours=lambda: seconds(toolbox),
        limit=("import flask", import_flask),
        floor="<= 1.25x",
        stretch="<= 1.0x",
    )
    yield Row(
        "idle memory",
        "MB",
        ours=lambda: memory(toolbox),
        limit=("Flask", lambda: memory(stock)),
        floor="<= 70",
        stretch="<= 59",
    )


def import_flask() -> float:
    """Milliseconds of a program that imports Flask and ends."""
    command = [sys.executable, "-c", "import flask"]
    return timed(lambda: subprocess.run(command, check=True, env=environment())) * 1e3


def bench_operation(bench: Bench) -> Iterator[Row]:
    """The CPU time of a typed, authenticated operation, against that of a bare Flask view."""
    with toolbox() as ours, stock() as theirs:

        def cpu(server: Server, data: bytes) -> float:
            before = server.cpu()
            seen = load(server.port, data, 1, bench.seconds)
            return (server.cpu() - before) / (seen.rate * bench.seconds) * 1e6

        yield Row(
            "GET /work-dir, CPU",
            "us",
            ours=lambda: cpu(ours, WORK_DIR),
            limit=("stock gthread", lambda: cpu(theirs, VERSION)),
            floor="<= 0.65x",
            stretch="<= 0.45x",
        )
        yield Row(
            "GET /work-dir, 16 connections",
            "/s",
            ours=lambda: load(ours.port, WORK_DIR, 16, bench.seconds).rate,
            limit=("stock gthread", lambda: load(theirs.port, VERSION, 16, bench.seconds).rate),
            floor=">= 1.5x",
        )


def bench_version(bench: Bench) -> Iterator[Row]:
    """The smallest request, against the same under stock gunicorn."""
    with contextlib.ExitStack() as stack:
        ours, theirs = stack.enter_context(toolbox()), stack.enter_context(stock())
        peer = stack.enter_context(swe_rex()) if bench.peers else None

        def rate(server: Server, data: bytes, clients: int) -> Sample:
            before = server.cpu()
            seen = load(server.port, data, clients, bench.seconds)
            cpu = (server.cpu() - before) / (seen.rate * bench.seconds)
            details = {"p50 ms": seen.p50 * 1e3, "p99 ms": seen.p99 * 1e3, "CPU us": cpu * 1e6}
            return Sample(seen.rate, details)

        for clients, floor, stretch in (
            (1, ">= 2x swe-rex, >= 1.5x", ">= 3.5x swe-rex"),
            (16, ">= 2.5x swe-rex", ">= 6x"),
        ):
            yield Row(
                f"GET /version, {clients} connection{'s' * (clients > 1)}",
                "/s",
                ours=functools.partial(rate, ours, VERSION, clients),
                limit=("stock gthread", functools.partial(rate, theirs, VERSION, clients)),
                peers={"swe-rex": functools.partial(rate, peer, SWE_REX_ALIVE, clients)}
                if peer
                else {},
                floor=floor,
                stretch=stretch,
            )
        yield Row(
            "its CPU, 16 connections",
            "us",
            ours=lambda: rate(ours, VERSION, 16).details["CPU us"],
            limit=("stock gthread", lambda: rate(theirs, VERSION, 16).details["CPU us"]),
            floor="<= 0.5x",
        )


def bench_execute(bench: Bench) -> Iterator[Row]:
    """A command that does nothing, against starting the same program oneself."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(toolbox())
        peer = stack.enter_context(swe_rex()) if bench.peers else None

        def p50(server: Server, data: bytes) -> Sample:
            seen = load(server.port, data, 1, bench.seconds)
            return Sample(seen.p50 * 1e3, {"p99": seen.p99 * 1e3})

        def rate(server: Server, data: bytes) -> Sample:
            seen = load(server.port, data, 8, bench.seconds)
            return Sample(seen.rate, {"p50 ms": seen.p50 * 1e3, "p99 ms": seen.p99 * 1e3})

        yield Row(
            "execute true, 1 client, p50",
            "ms",
            ours=lambda: p50(ours, EXECUTE),
            limit=("posix_spawn", posix_spawn),
            peers={"swe-rex": functools.partial(p50, peer, SWE_REX_EXECUTE)} if peer else {},
            floor="<= 2.0x",
            stretch="<= 1.4x",
        )
        yield Row(
            "execute true, 8 clients",
            "/s",
            ours=lambda: rate(ours, EXECUTE),
            peers={"swe-rex": functools.partial(rate, peer, SWE_REX_EXECUTE)} if peer else {},
            floor=">= 2x swe-rex" if peer else "",
            stretch=">= 2.5x swe-rex" if peer else "",
        )


def posix_spawn(count: int = 200) -> float:
    """Milliseconds to run ``true`` in the shell the service takes, with its output on a pipe, the
    median: the least an execute can take.
    """
    times = []
    for _ in range(count):
        began = time.perf_counter()
        reader, writer = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)]
        pid = os.posix_spawn(SHELL, [SHELL, "-c", "true"], os.environ, file_actions=actions)
        os.close(writer)
        while os.read(reader, 65536):
            pass
        os.close(reader)
        os.waitpid(pid, 0)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def bench_interference(bench: Bench) -> Iterator[Row]:
    """What the others feel of a client that lingers, of 63 that wait, and of a busy interpreter."""
    site = bench.directory / "site"
    info = site / "busy-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "busy.py").write_text(BUSY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: busy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toolbox.plugins]\nbusy = busy\n")
    with toolbox(env={"PYTHONPATH": str(site)}) as ours, stock() as theirs:
        yield Row(
            "a new client's /version while one lingers on close",
            "ms",
            ours=lambda: lingering(ours),
            limit=("stock gthread", lambda: lingering(theirs)),
            floor="<= 10",
            stretch="<= 2",
        )
        with blocked(ours, 63):
            yield Row(
                "/version while 63 requests wait, p99",
                "ms",
                ours=lambda: load(ours.port, VERSION, 1, bench.seconds).p99 * 1e3,
                floor="<= 10",
                stretch="<= 2",
            )
        yield Row(
            "/version while a request keeps the interpreter busy, p99",
            "ms",
            ours=while_busy(ours, lambda: load(ours.port, VERSION, 1, 1.5).p99 * 1e3),
            floor="<= 10",
            stretch="<= 2.5",
        )
        with terminal(ours) as ws:
            yield Row(
                "key to echo while a request keeps the interpreter busy, p99",
                "ms",
                ours=while_busy(ours, lambda: echo_p99(ws, 1.5) * 1e3),
                floor="<= 5",
                stretch="<= 1",
            )


def lingering(server: Server) -> float:
    """Milliseconds of a new client's request beside one that asked to close and keeps its end."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        sock.recv(65536)
        began = time.perf_counter()
        answer = request(
            server.port, b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200")
        return (time.perf_counter() - began) * 1e3


@contextlib.contextmanager
def blocked(server: Server, count: int) -> Iterator[None]:
    """Requests that wait for commands until the end."""
    fifo = server.directory / "fifo"
    os.mkfifo(fifo)
    body = json.dumps({"command": f"cat {fifo} > started.$$", "timeout": 600}).encode()
    sockets = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(http("POST", "/process/execute", body))
        sockets.append(sock)
    # A shell that has made its file waits in open() or read(): the request waits for it.
    while len(list(server.directory.glob("started.*"))) < count - 1:
        with contextlib.suppress(OSError):
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        time.sleep(0.01)
    try:
        yield
    finally:
        for sock in sockets:
            sock.close()
        fifo.unlink()


def while_busy(server: Server, measure: Measure) -> Measure:
    """``measure`` during a request that computes."""

    def measured() -> float | Sample:
        data = http("POST", "/x/busy", headers="Connection: close\r\n")
        thread = threading.Thread(target=request, args=(server.port, data))
        thread.start()
        time.sleep(0.1)
        try:
            return measure()
        finally:
            thread.join()

    return measured


ECHOES = "stty -icanon; exec cat > /dev/null"
"""Whose terminal echoes. Not by lines: it takes no more than 4,095 characters of one."""


@contextlib.contextmanager
def terminal(server: Server) -> Iterator[websocket.WebSocket]:
    """A PTY in which ``cat`` reads, so that what is typed is echoed by the terminal."""
    data = http("POST", "/process/pty", b'{"id": "bench"}', "Connection: close\r\n")
    assert request(server.port, data).startswith(b"HTTP/1.1 201")
    ws = websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/process/pty/bench/connect",
        header=[f"Authorization: Bearer {TOKEN}"],
    )
    try:
        ws.send_binary(ECHOES.encode() + b"\r")
        wait_for_silence(ws)
        yield ws
    finally:
        ws.close()


def wait_for_silence(ws: websocket.WebSocket) -> None:
    """Take what a terminal writes at its start."""
    time.sleep(1)
    ws.settimeout(0.2)
    with contextlib.suppress(websocket.WebSocketTimeoutException):
        while True:
            ws.recv()
    ws.settimeout(10)


def echo_p99(ws: websocket.WebSocket, seconds: float) -> float:
    """Seconds from a key to its echo."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        ws.send_binary(b"x")
        ws.recv()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) * 99 // 100]


def bench_sockets(bench: Bench) -> Iterator[Row]:
    """A thousand idle WebSockets, each following the log of one session's command."""
    count = 1000
    settings = f"[websocket]\nmax_sockets = {2 * count}\n"
    with toolbox(f"{settings}[process.local]\nmax_followers = {2 * count}\n") as ours:
        path = follow_path(ours)
        upgrade = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()

        def opened() -> Sample:
            before, threads = ours.memory(), ours.threads()
            sockets = []
            began = time.perf_counter()
            for _ in range(count):
                sock = socket.create_connection(("127.0.0.1", ours.port))
                sock.sendall(upgrade)
                assert sock.recv(65536).startswith(b"HTTP/1.1 101")
                sockets.append(sock)
            took = time.perf_counter() - began
            details = {"opened /s": count / took, "more threads": ours.threads() - threads}
            each = (ours.memory() - before) / count / 1e3
            for sock in sockets:
                sock.close()
            return Sample(each, details)

        yield Row(
            f"{count} idle WebSockets, memory of each",
            "KB",
            ours=opened,
            floor="<= 10",
            stretch="<= 2",
            rounds=1,  # Memory that was given back is taken again without growing.
        )


def follow_path(server: Server) -> str:
    """The path of the log of a command that runs and says nothing."""
    close = "Connection: close\r\n"
    data = http("POST", "/process/session", b'{"sessionId": "s"}', close)
    assert request(server.port, data).startswith(b"HTTP/1.1 201")
    body = b'{"command": "sleep 600", "runAsync": true}'
    answer = request(server.port, http("POST", "/process/session/s/exec", body, close))
    command = json.loads(answer.partition(b"\r\n\r\n")[2])["cmdId"]
    return f"/process/session/s/command/{command}/logs?follow=true"

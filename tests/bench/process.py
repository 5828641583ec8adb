"""Commands, terminals and logs: what doing it through the service costs over doing it oneself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import time
import tty
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import websocket

from bench.clients import TOKEN
from bench.clients import http
from bench.clients import load
from bench.clients import request
from bench.core import ECHOES
from bench.core import EXECUTE
from bench.core import posix_spawn
from bench.core import terminal
from bench.core import wait_for_silence
from bench.frame import Bench
from bench.frame import Measure
from bench.frame import Row
from bench.frame import Sample
from bench.servers import Server
from bench.servers import terminado
from bench.servers import toolbox

MUCH = 100_000_000
GIBIBYTE = 1 << 30
KEYS = 500
LINES = 200


def bench_execute(bench: Bench) -> Iterator[Row]:
    """A command that does nothing: the service's processor time, and what eight clients get."""
    with toolbox() as server:

        def cpu() -> float:
            before = server.cpu()
            seen = load(server.port, EXECUTE, 1, bench.seconds)
            return (server.cpu() - before) / (seen.rate * bench.seconds) * 1e6

        yield Row(
            "processor time of execute true",
            "us",
            ours=cpu,
            limit=("posix_spawn", lambda: spawning(bench.seconds, 1).cpu * 1e6),
            floor="<= 6.3x",
            stretch="<= 4.2x",
        )
        yield Row(
            "execute true, 8 clients",
            "/s",
            ours=lambda: load(server.port, EXECUTE, 8, bench.seconds).rate,
            limit=("8 threads", lambda: spawning(bench.seconds, 8).rate),
            floor=">= 0.85x",
            stretch=">= 0.95x",
        )


def bench_session(bench: Bench) -> Iterator[Row]:
    """A command that does nothing, in a shell that is there already."""
    with toolbox() as server:
        post(server, "/process/session", {"sessionId": "bench"})
        data = http("POST", "/process/session/bench/exec", b'{"command": "true"}')

        def ours() -> Sample:
            seen = load(server.port, data, 1, bench.seconds)
            return Sample(seen.p50 * 1e3, {"p99": seen.p99 * 1e3})

        yield Row(
            "session command, 1 client, p50",
            "ms",
            ours=ours,
            limit=("posix_spawn", posix_spawn),
            floor="<= 1.5x",
            stretch="<= 1x",
        )


def bench_preview(bench: Bench) -> Iterator[Row]:
    """A job that writes 1 GiB and is waited for, with both ends of its output or without."""
    with toolbox() as server:
        yield Row(
            "job of 1 GiB with a preview",
            "s",
            ours=lambda: waited_for(server, "&preview=2000,4000"),
            limit=("without", lambda: waited_for(server, "")),
            floor="<= 1.05x",
            rounds=max(5, bench.rounds),
        )


def bench_terminal(bench: Bench) -> Iterator[Row]:
    """A key and its echo, and a flood, on a terminal here and through the service."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(toolbox())
        ws = stack.enter_context(terminal(server))
        master = stack.enter_context(bare_terminal())
        peers: dict[str, Measure] = {}
        if bench.peers:
            peer = stack.enter_context(terminado(ECHOES)).port
            theirs = stack.enter_context(contextlib.closing(open_terminado(peer)))
            key = frame(b'["stdin", "x"]', text=True)
            peers["terminado"] = lambda: echo(lambda: theirs.send(key), lambda: theirs.recv(100))
        sock, one = ws.sock, frame(b"x")
        yield Row(
            "key to echo, p50",
            "us",
            ours=lambda: echo(lambda: sock.send(one), lambda: sock.recv(100)),
            limit=(
                "bare terminal",
                lambda: echo(lambda: os.write(master, b"x"), lambda: os.read(master, 100)),
            ),
            peers=peers,
            floor="<= 4x, <= 0.6x terminado" if peers else "<= 4x",
            stretch="<= 2x",
        )
        yield Row(
            "100 MB through a terminal",
            "MB/s",
            ours=lambda: MUCH / 1e6 / flood(server),
            limit=("bare terminal", lambda: MUCH / 1e6 / bare_flood()),
            floor=">= 0.8x",
            stretch=">= 0.95x",
            rounds=3,
        )


def bench_logs(bench: Bench) -> Iterator[Row]:
    """A line from the write to its follower, and a flood."""
    with toolbox() as server:
        post(server, "/process/session", {"sessionId": "bench"})
        yield Row(
            "line of a log to its follower",
            "ms",
            ours=lambda: delays(server),
            floor="<= 5",
            stretch="<= 0.7",
        )
        yield Row(
            "100 MB through a session to a follower",
            "MB/s",
            ours=lambda: MUCH / 1e6 / followed(server),
            limit=("through a pipe", lambda: MUCH / 1e6 / piped()),
            floor=">= 0.4x",
            stretch=">= 0.6x",
            rounds=3,
        )


class Spawned(NamedTuple):
    """Commands a second, and seconds of this process's time for each."""

    rate: float
    cpu: float


def spawning(seconds: float, threads: int) -> Spawned:
    """Run ``true`` in the shell again and again, on so many threads."""
    end = time.monotonic() + seconds

    def spawn(_: int) -> int:
        count = 0
        while time.monotonic() < end:
            posix_spawn(1)
            count += 1
        return count

    before = time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        count = sum(pool.map(spawn, range(threads)))
    return Spawned(count / seconds, (time.process_time() - before) / count)


def post(server: Server, path: str, body: object, patience: float = 10) -> bytes:
    """The body of the answer, which must be a success."""
    data = http("POST", path, json.dumps(body).encode(), "Connection: close\r\n")
    head, _, answer = request(server.port, data, patience).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 20"), head
    return answer


def waited_for(server: Server, query: str) -> float:
    """Seconds until a job's end, all of its output written."""
    began = time.perf_counter()
    body = {"command": f"head -c {GIBIBYTE} /dev/zero"}
    job = json.loads(post(server, f"/x/jobs?wait=300{query}", body, 300))
    took = time.perf_counter() - began
    assert (job["done"], job["outputEnd"]) == (True, GIBIBYTE)
    return took


def connect(server: Server, path: str) -> websocket.WebSocket:
    """A WebSocket that looks at nothing it is sent."""
    return websocket.create_connection(
        f"ws://127.0.0.1:{server.port}{path}",
        header=[f"Authorization: Bearer {TOKEN}", "X-Daytona-SDK-Version: 0.226.1"],
        skip_utf8_validation=True,
        sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )


def frame(data: bytes, text: bool = False) -> bytes:
    """A message as a client sends it: made once, so that it is the server that is measured."""
    opcode = websocket.ABNF.OPCODE_TEXT if text else websocket.ABNF.OPCODE_BINARY
    made: bytes = websocket.ABNF.create_frame(data, opcode).format()
    return made


def open_terminado(port: int) -> socket.socket:
    """A connection to its terminal, which has written what it has to write at the start."""
    ws = websocket.create_connection(
        f"ws://127.0.0.1:{port}/terminal", sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    )
    wait_for_silence(ws)
    return ws.sock


def echo(key: Callable[[], object], take: Callable[[], object]) -> Sample:
    """Microseconds from a key to its echo: the median, and the slowest of a hundred."""
    times = []
    for _ in range(KEYS):
        began = time.perf_counter()
        key()
        take()
        times.append(time.perf_counter() - began)
    times.sort()
    return Sample(times[KEYS // 2] * 1e6, {"p99": times[KEYS * 99 // 100] * 1e6})


@contextlib.contextmanager
def bare_terminal() -> Iterator[int]:
    """The master of a terminal in which the same runs as in the service's."""
    master, slave = os.openpty()
    command = ["sh", "-c", ECHOES]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process:
        time.sleep(1)
        yield master
        process.kill()
    os.close(slave)
    os.close(master)


def flood(server: Server) -> float:
    """Seconds until a client of a terminal has seen it all."""
    query = "id=flood&cols=80"
    ws = connect(server, f"/process/pty/create-connect?{query}")
    command = f"stty -opost; head -c {MUCH} /dev/zero; exit\r"
    ws.send_binary(command.encode())
    began, seen = time.perf_counter(), 0
    with contextlib.suppress(websocket.WebSocketException):
        while True:
            opcode, data = ws.recv_data()
            seen += len(data) if opcode == websocket.ABNF.OPCODE_BINARY else 0
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
    took = time.perf_counter() - began
    ws.close()
    assert seen >= MUCH
    return took


def bare_flood() -> float:
    """Seconds until it all was read from a terminal."""
    master, slave = os.openpty()
    tty.setraw(slave)
    began = time.perf_counter()
    command = ["head", "-c", str(MUCH), "/dev/zero"]
    with subprocess.Popen(command, stdout=slave) as process:
        os.close(slave)
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass
        process.wait()
    os.close(master)
    return time.perf_counter() - began


def delays(server: Server) -> Sample:
    """Milliseconds from a line's time, which is what it says, to its follower."""
    script = (
        "import time\n"
        f"for _ in range({LINES}): print(time.clock_gettime(1), flush=True); time.sleep(.005)"
    )
    body = {"command": f"python3 -c '{script}'", "runAsync": True}
    command = json.loads(post(server, "/process/session/bench/exec", body))["cmdId"]
    ws = connect(server, f"/process/session/bench/command/{command}/logs?follow=true")
    times = []
    while True:
        opcode, data = ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        times += [now - float(line) for line in data[3:].split()]
    ws.close()
    times.sort()
    assert len(times) == LINES
    return Sample(times[LINES * 99 // 100] * 1e3, {"p50": statistics.median(times) * 1e3})


def followed(server: Server) -> float:
    """Seconds until a follower has seen it all."""
    body = {"command": f"head -c {MUCH} /dev/zero", "runAsync": True}
    began, seen = time.perf_counter(), 0
    command = json.loads(post(server, "/process/session/bench/exec", body))["cmdId"]
    ws = connect(server, f"/process/session/bench/command/{command}/logs?follow=true")
    while True:
        opcode, data = ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        seen += len(data) - 3
    took = time.perf_counter() - began
    ws.close()
    assert seen == MUCH
    return took


def piped() -> float:
    """Seconds until it all was read from a pipe."""
    began = time.perf_counter()
    with subprocess.Popen(
        ["head", "-c", str(MUCH), "/dev/zero"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while os.read(process.stdout.fileno(), 65536):
            pass
    return time.perf_counter() - began

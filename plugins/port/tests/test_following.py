"""Events of ports that are opened and closed, and waiting for one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from toolbox_port.local import MAX_FOLLOWERS

from toolbox.linux.procfs import cpu_ticks
from toolbox.testing import TOKEN
from toolbox.testing import Service
from toolbox.testing import end_tree

LISTEN = """
import socket, sys
from toolbox.linux.procfs import cpu_ticks
sock = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""


class Listening:
    """A process that listens until it is terminated."""

    def __init__(self, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LISTEN, "127.0.0.1", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.pid = self.process.pid

    def stop(self) -> None:
        end_tree(self.process)


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a stream as they arrive."""
    kind = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            assert data["event"] == kind
            yield data


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def test_it_tells_what_is_open_what_opens_and_what_closes(service: Service) -> None:
    first = Listening()
    with service.http.stream("GET", "/x/ports/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        stream = events(answer)

        def find(event: str, port: int) -> dict[str, Any]:
            return next(each for each in stream if (each["event"], each["port"]) == (event, port))

        told = find("listening", first.port)
        assert (told["pid"], told["addresses"]) == (first.pid, ["127.0.0.1"])
        assert told["process"].startswith("python")
        second = Listening()
        assert find("opened", second.port)["pid"] == second.pid
        first.stop()
        assert find("closed", first.port)["pid"] == first.pid
        # A restart, however quick.
        second.stop()
        third = Listening(second.port)
        assert find("closed", second.port)["pid"] == second.pid
        assert find("opened", third.port)["pid"] == third.pid
        third.stop()


def test_its_own_port_is_not_told(service: Service) -> None:
    other = Listening()
    with service.http.stream("GET", "/x/ports/events") as answer:
        for told in events(answer):
            assert told["port"] != service.port
            if told["port"] == other.port:
                break
    other.stop()


def test_followers_are_bounded_and_end_with_their_client(service: Service) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_FOLLOWERS):
            answer = stack.enter_context(service.http.stream("GET", "/x/ports/events"))
            assert answer.status_code == 200
        refused = service.http.get("/x/ports/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["code"] == "SERVICE_UNAVAILABLE"

    def served() -> bool:
        with service.http.stream("GET", "/x/ports/events") as answer:
            return answer.status_code == 200

    service.wait_for(served, "a free place")


def test_followers_do_not_hold_up_the_end(make_service: Callable[..., Service]) -> None:
    # AC-47
    service = make_service(settings="[server]\nshutdown_timeout = 600")
    with service.http.stream("GET", "/x/ports/events") as answer:
        pieces = answer.iter_raw()
        next(pieces)
        service.process.terminate()
        for _ in pieces:
            pass
    assert service.process.wait(60) == 0


def test_nobody_listens_and_nobody_asks_costs_nothing(service: Service) -> None:
    # AC-46
    with service.http.stream("GET", "/x/ports/events") as answer:
        next(answer.iter_raw())
    (worker,) = service.workers()

    def cpu() -> float:
        return cpu_ticks(worker) / os.sysconf("SC_CLK_TCK")

    def idle() -> bool:
        before = cpu()
        threading.Event().wait(3)  # What is measured is that nothing happens.
        return cpu() - before <= 0.03

    service.wait_for(idle, "three seconds of less than one percent of a core")


def test_waiting_for_a_port_that_is_open(service: Service) -> None:
    other = Listening()
    told = service.http.get(f"/x/ports/{other.port}/wait").json()
    assert (told["port"], told["pid"], told["addresses"]) == (other.port, other.pid, ["127.0.0.1"])
    other.stop()


def test_waiting_for_a_port_to_open(service: Service) -> None:
    port = free_port()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(service.http.get, f"/x/ports/{port}/wait?timeout=50")
        assert service.http.get(f"/x/ports/{port}/wait?timeout=0.1").status_code == 408
        other = Listening(port)
        assert waiting.result().json()["pid"] == other.pid
    other.stop()


def test_waiting_ends_in_time(service: Service) -> None:
    for timeout in ("0", "0.2"):
        answer = service.http.get(f"/x/ports/{free_port()}/wait?timeout={timeout}")
        assert answer.status_code == 408
        assert answer.json()["code"] == "REQUEST_TIMEOUT"


@pytest.mark.parametrize("query", ["timeout=-1", "timeout=3601", "timeout=x", "timeout=nan"])
def test_a_timeout_is_a_number_of_seconds(service: Service, query: str) -> None:
    answer = service.http.get(f"/x/ports/3000/wait?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1"])
def test_only_a_port_can_be_waited_for(service: Service, port: str) -> None:
    assert service.http.get(f"/x/ports/{port}/wait").status_code == 400


def test_waiting_ends_with_the_client(make_service: Callable[..., Service]) -> None:
    # With four threads, four disconnected clients must not keep the fifth from being served.
    service = make_service(settings="[server]\nthreads = 4")
    request = f"GET /x/ports/{free_port()}/wait?timeout=3600 HTTP/1.1\r\nHost: x\r\n"
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", service.port), 60) as sock:
            sock.sendall(f"{request}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
    assert service.http.get("/port").status_code == 200

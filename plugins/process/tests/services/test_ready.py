"""Readiness: the signs of it, on loopback only, and what never gets ready."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.processes import descendants

SERVER = """
import socket, sys
port, response = int(sys.argv[1]), sys.argv[2].encode().decode("unicode_escape").encode("latin-1")
family, host = socket.AF_INET, "127.0.0.1"
if "6" in sys.argv[3:]:
    family, host = socket.AF_INET6, "::1"
server = socket.create_server((host, port), family=family)
while True:
    sock, _ = server.accept()
    with sock:
        print(sock.recv(4096).decode().splitlines()[:1], flush=True)
        sock.sendall(response)
        if "hang" in sys.argv[3:]:
            sock.recv(4096)
"""


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """The argv of a server with one response for all requests."""
    program = tmp_path / "server.py"
    program.write_text(SERVER)

    def argv(port: int, response: str = "", *more: str) -> list[str]:
        return [sys.executable, str(program), str(port), response, *more]

    return argv


def test_a_port(services: Any, port: int) -> None:
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    assert services.put("web", argv=argv, ready={"port": port})["state"] == "starting"
    assert services.wait("web")["state"] == "ready"
    socket.create_connection(("127.0.0.1", port)).close()
    # The next run gets the port again.
    services.act("web", "restart")
    assert services.wait("web")["state"] == "ready"


def test_a_port_of_the_other_loopback(services: Any, server: Any, port: int) -> None:
    services.put("web", argv=server(port, "", "6"), ready={"port": port})
    assert services.wait("web")["state"] == "ready"


@pytest.mark.parametrize("form", ["url", "path"])
def test_a_response(services: Any, port: int, tmp_path: Path, form: str) -> None:
    flag = tmp_path / "healthy"
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    ready: dict[str, Any] = {"http": f"http://localhost:{port}/healthy?x=1"}
    if form == "path":
        ready = {"http": "/healthy?x=1", "port": port}
    services.put("web", argv=argv, cwd=str(tmp_path), ready=ready)
    # It listens, and is not healthy yet.
    eventually(lambda: "404" in services.log("web"), "a first request")
    assert services.info("web")["state"] == "starting"
    flag.touch()
    assert services.wait("web")["state"] == "ready"
    assert 'GET /healthy?x=1 HTTP/1.1" 200' in services.log("web")


@pytest.mark.parametrize(
    ("response", "status", "is_ready"),
    [
        ("HTTP/1.1 503 No\\r\\n\\r\\n", None, False),
        ("HTTP/1.1 503 No\\r\\n\\r\\n", 503, True),
        ("HTTP/1.1 302 There\\r\\nLocation: http://192.0.2.1/\\r\\n\\r\\n", None, True),
        ("HTTP/1.0 200\\n", 204, False),
        ("HTTP/1.1 204 Well", None, False),
        ("SSH-2.0-OpenSSH\\r\\n", None, False),
        ("", None, False),
        ("\\x00\\xff" * 2000, None, False),
    ],
)
def test_responses(
    services: Any, server: Any, port: int, response: str, status: int | None, is_ready: bool
) -> None:
    ready = {"http": f"http://127.0.0.1:{port}", "status": status}
    # What has no end is given up, without a wait for more.
    services.put("web", argv=server(port, response), ready=ready)
    if is_ready:
        assert services.wait("web")["state"] == "ready"
    else:
        eventually(lambda: services.log("web").count("GET / HTTP/1.1") >= 3, "three requests")
        assert services.info("web")["state"] == "starting"


def test_a_server_that_does_not_respond_holds_up_nothing(
    services: Any, server: Any, port: int
) -> None:
    services.put("web", argv=server(port, "HTTP/1.1 2", "hang"), ready={"http": "/", "port": port})
    eventually(lambda: "GET" in services.log("web"), "a request")
    answer = services.http.post("/process/execute", json={"command": "echo well"})
    assert answer.json()["result"] == "well\n"
    assert services.info("web")["state"] == "starting"


@pytest.mark.parametrize(
    ("command", "pattern"),
    [
        ("echo listening on 80", "listening"),
        ("printf 'a\\nlistening on 8000\\nb\\n'", "^listening on \\d+$"),
        ("printf 'an unfinished listening'", "listen(ing|er)"),
        ("echo out; echo listening >&2", "^listening$"),
        ("printf 'lis'; sleep 0.2; printf 'tening é\\377\\n'", "^listening é"),
        ("head -c 300000 /dev/zero; echo; echo listening", "^listening$"),
    ],
)
def test_a_pattern(services: Any, command: str, pattern: str) -> None:
    services.put("s", command=f"{command}; exec sleep 1000", ready={"log": pattern})
    assert services.wait("s")["state"] == "ready"


def test_a_pattern_is_looked_for_in_each_run_anew(services: Any, tmp_path: Path) -> None:
    once = tmp_path / "once"
    command = f"test -e {once} || echo up; touch {once}; exec sleep 1000"
    services.put("s", command=command, ready={"log": "^up$"})
    assert services.wait("s")["state"] == "ready"
    services.act("s", "restart")
    assert services.wait("s", timeout=0.2)["state"] == "starting"


def test_a_pattern_that_takes_forever_takes_nobody_elses_time(services: Any) -> None:
    """Python holds its lock while it matches: that must not be ours."""
    line = "a" * 60 + "!"
    services.put("slow", command=f"echo {line}; exec sleep 1000", ready={"log": "^(a+)+$"})
    services.put("other", command="echo up 1; exec sleep 1000", ready={"log": "^up \\d$"})
    assert services.wait("other")["state"] == "ready"
    slow = services.until("slow", lambda info: "message" in info)
    assert slow["state"] == "starting" and "takes too long" in slow["message"]
    # And once more with the reason of the end.
    definition = {"command": f"echo {line}; exec sleep 1000", "restart": "never"}
    services.put("slow", **definition, ready={"log": "^(a+)+$", "timeout": 10})
    ended = services.wait("slow")
    assert (ended["state"], ended["reason"]) == ("failed", "not-ready")
    assert "after 10 seconds; the pattern takes too long" in ended["message"]


def test_the_search_goes_on_if_its_process_is_killed(services: Any) -> None:
    command = "while :; do echo a; sleep 0.02; done"
    services.put("s", command=command, ready={"log": "^none$"})

    def matchers() -> list[int]:
        found = []
        for pid in descendants(services.service.process.pid):
            with suppress(OSError):
                if "matching/program.py" in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(pid)
        return found

    eventually(matchers, "the process")
    (pid,) = matchers()
    os.kill(pid, 9)
    eventually(lambda: matchers() not in ([], [pid]), "another process")
    services.put("t", command="echo up; exec sleep 1000", ready={"log": "^up$"})
    assert services.wait("t")["state"] == "ready"


@pytest.mark.parametrize("sign", ["port", "http", "log"])
def test_one_that_is_never_ready_is_ended(
    services: Any, port: int, tmp_path: Path, sign: str
) -> None:
    pid_file = tmp_path / "pid"
    signs: dict[str, dict[str, Any]] = {
        "port": {"port": port},
        "http": {"port": port, "http": "/"},
        "log": {"log": "n[e]ver"},
    }
    ready = {**signs[sign], "timeout": 0.5}
    # It ignores the friendly signal, and what it has started does so, too.
    command = f"trap '' TERM; sh -c 'echo $$ > {pid_file}; while :; do sleep 0.05; done'"
    services.put("s", command=command, restart="never", grace=0.1, ready=ready)
    failed = services.wait("s")
    assert (failed["state"], failed["reason"]) == ("failed", "not-ready")
    assert failed["message"] == "not ready after 0.5 seconds"
    assert not alive(read_pid(pid_file))


def test_one_that_is_not_ready_is_started_again(services: Any, port: int) -> None:
    ready = {"port": port, "timeout": 0.1}
    services.put("s", command="exec sleep 1000", backoff={"first": 0.02}, ready=ready)
    shown = services.until("s", lambda info: info["restarts"] >= 2)
    assert shown["reason"] == "not-ready"


def test_one_that_dies_before_it_is_ready(services: Any, port: int) -> None:
    services.put("s", command="sleep 0.1; exit 4", restart="never", ready={"port": port})
    failed = services.wait("s")
    assert (failed["state"], failed["exitCode"], failed["reason"]) == ("failed", 4, "exited")


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_nobody_is_asked_after_the_end(services: Any) -> None:
    with listening() as port:
        services.put("s", command="exit 4", restart="never", ready={"port": port, "http": "/"})
        assert services.wait("s")["state"] == "failed"
        (worker,) = services.service.workers()
        # No descriptor of a probe is left, although nobody has responded to it.
        links = [str(link.readlink()) for link in Path(f"/proc/{worker}/fd").iterdir()]
        sockets = {link for link in links if link.startswith("socket:")}
        table = Path(f"/proc/{worker}/net/tcp").read_text()
        remote = f"0100007F:{port:04X}"
        rows = [line.split() for line in table.splitlines() if line.split()[2] == remote]
        assert not [row for row in rows if f"socket:[{row[9]}]" in sockets]


def test_a_pattern_that_takes_seconds_to_compile_holds_nobody_up(services: Any) -> None:
    ranges = "(?i)" + "[\u0100-\uffff]" * 200
    assert "takes too long" in services.refuse("slow", command="x", ready={"log": ranges})
    assert services.request("GET", "slow").status_code == 404

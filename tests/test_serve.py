from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service
from toolbox.testing import ending

ToyService = Callable[..., Service]


def refused(port: int) -> bool:
    with contextlib.closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_start_is_told_on_standard_output(toy_service: ToyService) -> None:
    service = toy_service()
    service.wait_for(lambda: f"Starting toolbox server on port {service.port}\n" in service.log())


def test_a_path_prefix_is_taken_off_and_not_needed(toy_service: ToyService) -> None:
    service = toy_service("greeter", settings='[server]\npath_prefix = "/a/sandbox"\n')
    for path in ("/a/sandbox/greet/x", "/greet/x", "/a/sandbox/healthz"):
        assert service.http.get(path).status_code == 200
    for path in ("/a/sandboxes/greet/x", "/a/greet/x", "/a/sandbox/nowhere"):
        assert service.http.get(path).status_code == 404
    redirect = service.http.get("/a/sandbox/greet/x/")
    assert redirect.headers["location"] == "/a/sandbox/greet/x"


def test_ipv6_loopback(toy_service: ToyService) -> None:
    service = toy_service("greeter", arguments=("--host", "::1"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://[::1]:{service.port}/greet/x"
    assert httpx.get(url, headers=headers, timeout=DEADLINE).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--host", "192.0.2.1"), "can't listen on 192.0.2.1:0: Cannot assign"),
        (("--host", "no.such.host.invalid"), "can't listen on no.such.host.invalid:0"),
        (("--port", "65536"), "server.port: Expected `int` <= 65535"),
        (("--port", "x"), "server.port: Expected `int`, got `str`"),
        (("--config", "/nowhere/x.toml"), "/nowhere/x.toml: No such file or directory"),
        (("--token-file", "/nowhere/token"), "/nowhere/token: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_status_2(
    arguments: tuple[str, ...], problem: str
) -> None:
    token = "" if "--token-file" in arguments else TOKEN  # The environment wins over a file.
    result = run("serve", "--port", "0", *arguments, TOOLBOX_TOKEN=token)
    assert result.returncode == 2
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_open_address_without_a_token_is_one_line_and_status_2() -> None:
    result = run("serve", "--port", "0", "--host", "0.0.0.0", TOOLBOX_TOKEN="")
    assert result.returncode == 2
    assert "a token is needed" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_busy_port_is_one_line_and_status_2(toy_service: ToyService) -> None:
    service = toy_service()
    result = run("serve", "--port", str(service.port), TOOLBOX_TOKEN=TOKEN)
    assert result.returncode == 2
    assert result.stderr == (
        f"toolbox: can't listen on 127.0.0.1:{service.port}: Address already in use;"
        " choose another port with --port\n"
    )


def test_a_port_nobody_may_take_is_one_line_and_status_2() -> None:
    command = [sys.executable, "-m", "toolbox", "serve", "--port", "1"]
    if os.geteuid() == 0:
        without = "-net_bind_service"  # What root needs to take a port below 1024.
        command[:0] = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
    start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    if int(start) <= 1:
        # Containers often let everybody bind every port; then there is nothing to refuse.
        assert run("serve", "--port", "0", "--host", "256.1.1.1", TOOLBOX_TOKEN="x").returncode == 2
        return
    environ = {**os.environ, "TOOLBOX_TOKEN": TOKEN}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "Permission denied" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_port_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    environ = {**os.environ, "TOOLBOX_TOKEN": TOKEN}
    command = [sys.executable, "-m", "toolbox", "serve", "--port", "0", "--port-file", "/proc/x/y"]
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with ending(process):
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Starting toolbox server on port")
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "can't write the port file /proc/x/y" in errors


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_it_with_everything_it_started(
    toy_service: ToyService, tmp_path: Path, sig: int
) -> None:
    # AC-47
    (tmp_path / "go").write_text("now")
    service = toy_service("lifecycle", env={"LIFECYCLE_DIR": str(tmp_path)})
    service.wait_for(lambda: len(descendants(service.process.pid)) == 4, "the programs")
    assert service.stop(sig) == 0
    assert refused(service.port)


def test_a_request_that_is_being_worked_on_is_finished(toy_service: ToyService) -> None:
    # AC-47
    service = toy_service("faulty")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        request = pool.submit(service.http.get, "/faulty/until/file")
        service.http.get("/faulty/waiting/1")
        service.process.terminate()
        service.wait_for(lambda: refused(service.port), "the end of listening")
        (service.work_dir / "file").touch()
        assert request.result().json() == {"found": "file"}
    assert service.process.wait(30) == 0


def test_a_request_that_never_ends_does_not_hold_the_end_up(toy_service: ToyService) -> None:
    service = toy_service("faulty", settings="[server]\nshutdown_timeout = 2\n")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        request = pool.submit(service.http.get, "/faulty/wait")
        service.http.get("/faulty/waiting/1")
        service.process.terminate()
        service.process.wait(DEADLINE)
        assert isinstance(request.exception(), httpx.TransportError)


def test_an_answer_without_an_end_can_end_with_the_service(toy_service: ToyService) -> None:
    # AC-47
    service = toy_service("faulty", settings="[server]\nshutdown_timeout = 600\n")
    with service.http.stream("GET", "/faulty/endless") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"begun"
        service.process.terminate()
        assert b"".join(chunks) == b", ended"
    assert service.process.wait(60) == 0


def test_a_killed_worker_is_replaced_and_leaves_nothing(
    toy_service: ToyService, tmp_path: Path
) -> None:
    (tmp_path / "go").write_text("now")
    service = toy_service("lifecycle", "greeter", env={"LIFECYCLE_DIR": str(tmp_path)})
    service.wait_for(lambda: service.http.get("/readyz").status_code == 200, "readiness")
    (worker,) = service.workers()
    left = descendants(worker)
    daemon = int((tmp_path / "daemon").read_text())
    assert daemon in descendants(service.process.pid)
    os.kill(worker, signal.SIGKILL)
    for pid in {*left, daemon}:
        service.wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists(), f"the end of {pid}")  # type: ignore[misc]

    def back() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return service.http.get("/greet/x").status_code == 200
        return False

    service.wait_for(back, "the new worker")
    assert service.workers() != [worker]


def test_no_signal_starts_a_second_worker_or_master(toy_service: ToyService) -> None:
    # F-A4: the first worker, and all that runs in it, would be ended for it.
    service = toy_service()
    before = service.workers()
    for name in ("TTIN", "TTOU"):  # USR2 upgrades: plugins/process/tests/test_reload.py
        service.process.send_signal(signal.Signals[f"SIG{name}"])
        service.wait_for(lambda name=name: f"SIG{name} is ignored" in service.log(), name)  # type: ignore[misc]
    assert service.workers() == before


def test_a_killed_master_takes_the_worker_along(toy_service: ToyService, tmp_path: Path) -> None:
    (tmp_path / "go").write_text("now")
    service = toy_service("lifecycle", env={"LIFECYCLE_DIR": str(tmp_path)})
    service.wait_for(lambda: service.http.get("/readyz").status_code == 200, "readiness")
    (worker,) = service.workers()
    service.wait_for((tmp_path / "daemon").exists, "what it starts")
    below = descendants(worker)
    assert len(below) >= 3
    service.process.kill()
    service.process.wait(DEADLINE)
    service.wait_for(lambda: not Path(f"/proc/{worker}").exists(), "the end of the worker")
    assert (tmp_path / "stopped").exists()
    service.wait_for(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), "the end of the rest"
    )
    assert refused(service.port)


def test_a_client_that_keeps_its_end_open_delays_nobody(toy_service: ToyService) -> None:
    service = toy_service("greeter")
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while b'"ok"' not in sock.recv(65536):
                pass
        # Stock gunicorn answers the next request two seconds later for each of them.
        assert service.http.get("/greet/x").status_code == 200


def test_requests_that_wait_do_not_delay_others(toy_service: ToyService) -> None:
    service = toy_service("faulty", "greeter")
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        clients = [service.client(TOKEN) for _ in range(63)]
        waiting = [pool.submit(client.get, "/faulty/wait") for client in clients]
        service.http.get("/faulty/waiting/63")
        assert service.http.get("/greet/x").status_code == 200
        service.http.post("/faulty/release")
        assert {request.result().status_code for request in waiting} == {200}
        for client in clients:
            client.close()


def test_headers_that_never_end_are_cut_off(toy_service: ToyService) -> None:
    service = toy_service(settings="[server]\nheader_timeout = 1\n")
    with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        assert sock.recv(1) == b""


def test_a_body_that_stalls_is_cut_off(toy_service: ToyService) -> None:
    service = toy_service("faulty", settings="[server]\nstall_timeout = 1\n")
    for length in (b"Content-Length: 10", b"Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
            sock.sendall(
                b"POST /faulty/count HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                + TOKEN.encode()
                + b"\r\n%s\r\n\r\n5" % length
            )
            assert b"408" in sock.recv(65536).split(b"\r\n")[0]


def test_a_client_that_takes_nothing_is_cut_off(toy_service: ToyService) -> None:
    service = toy_service("faulty", settings="[server]\nstall_timeout = 1\n")
    with (service.work_dir / "big").open("wb") as file:
        file.truncate(1 << 30)
    with socket.create_connection(("127.0.0.1", service.port), 30) as sock:
        sock.sendall(
            b"GET /faulty/file?path=big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + TOKEN.encode()
            + b"\r\n\r\n"
        )
        fds = Path(f"/proc/{service.workers()[0]}/fd")

        def sending() -> bool:
            return any(link.endswith("/big") for link in links(fds))

        service.wait_for(sending, "the download")
        service.wait_for(lambda: not sending(), "the cut")


def links(fds: Path) -> list[str]:
    found = []
    for fd in os.listdir(fds):
        with contextlib.suppress(OSError):
            found.append(os.readlink(fds / fd))
    return found


def test_running_out_of_descriptors_refuses_and_recovers(toy_service: ToyService) -> None:
    service = toy_service("greeter")
    (worker,) = service.workers()
    subprocess.run(["prlimit", f"--pid={worker}", "--nofile=64:64"], check=True)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), 30))
        service.wait_for(lambda: "a connection was refused" in service.log(), "the refusal")
    with contextlib.closing(service.client(TOKEN)) as client:

        def served() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return client.get("/greet/x").status_code == 200
            return False

        service.wait_for(served, "recovery")
    assert service.workers() == [worker]


def test_connections_come_and_go_without_a_trace(toy_service: ToyService) -> None:
    # AC-45
    service = toy_service("greeter")
    (worker,) = service.workers()
    fds = Path(f"/proc/{worker}/fd")
    before = len(os.listdir(fds))
    for _ in range(100):
        with service.client(TOKEN) as client:
            assert client.get("/greet/x").status_code == 200
    service.wait_for(lambda: len(os.listdir(fds)) <= before + 16, "the closing")


def test_children_of_a_pinned_service_get_every_core(
    toy_service: ToyService, tmp_path: Path
) -> None:
    (tmp_path / "go").write_text("now")
    service = toy_service("lifecycle", env={"LIFECYCLE_DIR": str(tmp_path)})
    service.wait_for(lambda: len(descendants(service.process.pid)) == 4, "the programs")
    (worker,) = service.workers()
    allowed = os.sched_getaffinity(0)
    assert len(os.sched_getaffinity(worker)) == 1
    for pid in set(descendants(service.process.pid)) - {worker}:
        assert os.sched_getaffinity(pid) == allowed


def test_gunicorn_itself_can_serve_it(tmp_path: Path) -> None:
    conf = Path(__file__).parent.parent / "conf" / "gunicorn.conf.py"
    environ = {**os.environ, "TOOLBOX_TOKEN": TOKEN, "TOOLBOX__SERVER__PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", str(conf)],
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ending(process):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Starting toolbox server on port ")
        url = f"http://127.0.0.1:{line.rpartition(' ')[2].strip()}/plugins"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(url, headers=headers, timeout=DEADLINE).status_code == 200
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_it(site: Any, tmp_path: Path, sig: signal.Signals) -> None:
    site.add("slow")
    trace = tmp_path / "trace"
    environ = {**os.environ, **site.env, "TOOLBOX_TOKEN": TOKEN, "TRACE_FILE": str(trace)}
    process = subprocess.Popen(
        [sys.executable, "-m", "toolbox", "serve", "--port", "0"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with ending(process):
        deadline = time.monotonic() + DEADLINE
        while not trace.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(sig)
        assert process.communicate(timeout=DEADLINE)[0] == ""
    assert process.returncode == 0


def test_the_master_needs_neither_flask_nor_plugins_nor_their_memory() -> None:
    program = (
        "import os, sys; os.environ.update(TOOLBOX_TOKEN='x', TOOLBOX_CONFIG=os.devnull);"
        "import toolbox.serving.server, toolbox.serving.worker;"
        "from toolbox.serving.bootstrap import prepare; prepare();"
        "print([name for name in sys.modules if name in {'asyncio', 'flask', 'werkzeug',"
        "'wsproto', 'toolbox.plugins'} or name.startswith('toolbox_')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "[]\n", result.stdout + result.stderr


def test_the_limit_of_descriptors_is_raised(make_service: ToyService) -> None:
    service = make_service(wrapper=("prlimit", "--nofile=256:4096"))
    (worker,) = service.workers()
    limits = Path(f"/proc/{worker}/limits").read_text()
    (line,) = [each for each in limits.splitlines() if each.startswith("Max open files")]
    assert line.split()[3:5] == ["4096", "4096"]

"""``toolbox config --check`` says what ``toolbox serve`` would refuse: all of it, and only that."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

MISTAKES = {
    "[server]\nhost = '0.0.0.0'": "0.0.0.0 can be reached from other machines",
    "[server]\nhost = '0.0.0.0'\n[auth]\nmode = 'init'": "so a token is needed",
    "[auth]\ntoken_file = '{here}/none'": "auth.token_file: {here}/none: No such file or directory",
    "[auth]\ntoken_file = '{here}/empty'": "auth.token_file: {here}/empty: the first line is empty",
    "[auth]\ntoken_file = '{here}/blanks'": "a token is 1 to 4094 printable ASCII characters",
    "[auth]\nsigning_key_file = '{here}/none'": "auth.signing_key_file: {here}/none: No such file",
    "[server]\nwork_dir = '{here}/none'": "server.work_dir: {here}/none: No such file or directory",
    "[server]\nwork_dir = '{here}/empty'": "server.work_dir: {here}/empty: Not a directory",
    "[log]\nfile = '{here}/none/log'": "log.file: {here}/none/log: No such file or directory",
    "[log]\nfile = '{here}'": "log.file: {here}: Is a directory",
    "[log]\naudit = '{here}/none/log'": "log.audit: {here}/none/log: No such file or directory",
    "[server]\nhost = 'no.such.host.invalid'\n[auth]\nmode = 'none'": "can't listen on no.such",
    "[server]\nhost = '192.0.2.1'\n[auth]\nmode = 'none'": "can't listen on 192.0.2.1:0",
    "[server]\nalso = ['x']": "server.also: 'x' is not an address: write HOST:PORT",
    "[server]\nalso = ['0.0.0.0:0']": "0.0.0.0 can be reached from other machines",
    "[server]\nalso = ['192.0.2.1:80']\n[auth]\nmode = 'none'": "can't listen on 192.0.2.1:80",
    "[server]\nalso = ['unix:{here}/empty']": "can't listen on unix:{here}/empty: Address",
    "[process]\nmax_waiting = 256": "process.max_waiting: 256 must be below server.threads",
    "[server]\nthreads = 8\n[lsp]\nmax_waiting = 9": "lsp.max_waiting: 9 must be below",
    "[swerex]\nports = [7, 8888]": "agentsandbox.ports and swerex.ports both name port 8888",
    "[auth]\nmode = 'open'": "Invalid enum value 'open'; allowed: 'token', 'init', 'none'",
    "[log]\nlevel = 'all'": "allowed: 'debug', 'info', 'warning', 'error'",
    "[git]\nbackend = 'svn'": "no backend 'svn' is installed; allowed: 'auto', 'cli', 'dulwich'",
    "[files]\nxyzzy = 1": "unknown option files.xyzzy; allowed: 'backend', 'local'",
    "[lsp.servers.a]\ncommand = 1\nbogus = 2": "lsp.servers.a.command: Expected `array`, got `int`",
    "[xyzzy]": "allowed: 'agentsandbox', 'auth', 'checkpoints', 'computeruse', 'e2b', 'files'",
    "[plugins]\nenable = 'git'": """Expected `array`, got `str`; write a list, as ["a", "b"]""",
    "[log]\naccess = 'maybe'": "Expected `bool`, got `str`; allowed: true, false",
    "[plugins]\nenable = ['xyzzy']": "'xyzzy', which is not installed; allowed: ",
    "not toml": "not TOML: Expected '=' after a key in a key/value pair (at line 1, column 5)",
}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"TOOLBOX_CONFIG": os.devnull, **environ}
    clean = {name: value for name, value in os.environ.items() if name != "TOOLBOX_TOKEN"}
    return subprocess.run(
        [sys.executable, "-m", "toolbox", *arguments],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "empty").touch()
    (tmp_path / "blanks").write_text("a b\n")
    return tmp_path


@pytest.mark.parametrize("text", MISTAKES)
def test_what_serve_refuses_the_check_tells(here: Path, text: str) -> None:
    # F-D5
    file = here / "my.toml"
    file.write_text(text.replace("{here}", str(here)))
    # Any port will do: the default one may be somebody's.
    port = {"TOOLBOX__SERVER__PORT": "0"}
    with ThreadPoolExecutor(2) as pool:
        checking = pool.submit(run, "config", "--check", str(file), **port)
        serving = pool.submit(run, "serve", "--config", str(file), **port)
        checked, served = checking.result(), serving.result()
    assert (checked.returncode, checked.stdout) == (2, "")
    assert MISTAKES[text].replace("{here}", str(here)) in checked.stderr
    assert served.returncode == 2
    lines = [line for line in served.stderr.splitlines() if line.startswith("toolbox: ")]
    assert lines == checked.stderr.splitlines()
    assert sorted(path.name for path in here.iterdir()) == ["blanks", "empty", "my.toml"]


def test_every_mistake_is_told(here: Path) -> None:
    # F-D5: only the first was
    file = here / "my.toml"
    file.write_text(
        f"""
[server]
port = "x"
prot = 1
work_dir = "{here}/none"
[auth]
token_file = "{here}/none"
signing_key_file = "{here}/empty"
[log]
level = "loud"
file = "{here}/none/log"
[process]
max_waiting = 300
backend = "remote"
[process.local]
grace = -1
shel = "/bin/sh"
[git]
timeout = "soon"
[files.local]
upload_max_age = "never"
[lsp.servers.a]
command = 1
bogus = 2
[proces]
a = 1
"""
    )
    checked = run("config", "--check", str(file), TOOLBOX__WEBSOCKET__MAX_SOCKETS="none")
    told = checked.stderr.splitlines()
    for problem in (
        f"{file}: server.port: Expected `int`, got `str`",
        f"{file}: unknown option server.prot; did you mean 'port'?",
        f"server.work_dir: {here}/none: No such file or directory",
        f"{file}: log.level: Invalid enum value 'loud'; allowed: 'debug', 'info', 'warning', ",
        f"log.file: {here}/none/log: No such file or directory",
        "environment TOOLBOX__WEBSOCKET__MAX_SOCKETS: websocket.max_sockets: Expected `int`",
        f"{file}: process.backend: no backend 'remote' is installed; allowed: 'local'",
        f"{file}: git.timeout: Expected `float`, got `str`",
        f"{file}: files.local.upload_max_age: Expected `int`, got `str`",
        f"{file}: lsp.servers.a.command: Expected `array`, got `int`",
        f"{file}: unknown option lsp.servers.a.bogus; allowed: 'command', 'extensions', ",
        f"{file}: unknown section [proces]; did you mean 'process'?",
    ):
        assert any(line.startswith(f"toolbox: {problem}") for line in told), (problem, told)
    assert len(told) == len(set(told))
    # Once those are mended, so that it is clear what the rest means, the others are told.
    file.write_text(
        file.read_text().replace('port = "x"\nprot = 1\n', "").replace("remote", "local")
    )
    told = run("config", "--check", str(file)).stderr.splitlines()
    for problem in (
        f"auth.token_file: {here}/none: No such file or directory",
        f"auth.signing_key_file: {here}/empty: the first line is empty",
        f"{file}: process.max_waiting: 300 must be below server.threads, which is 256",
        f"{file}: process.local.grace: Expected `float` >= 0",
        f"{file}: unknown option process.local.shel; did you mean 'shell'?",
    ):
        assert any(line.startswith(f"toolbox: {problem}") for line in told), (problem, told)


def test_the_check_needs_no_file(here: Path) -> None:
    # F-D5
    file = here / "my.toml"
    file.write_text("[server]\nport = 2281\n")
    for arguments, environ in (
        (("config", "--check", str(file)), {}),
        (("config", "--check", "--config", str(file)), {}),
        (("config", "--check"), {"TOOLBOX_CONFIG": str(file)}),
    ):
        result = run(*arguments, **environ)
        assert (result.returncode, result.stdout) == (0, f"{file}: ok\n"), result.stderr
    result = run("config", "--check", TOOLBOX_CONFIG="", TOOLBOX__SERVER__PORT="0")
    assert (result.returncode, result.stdout) == (
        0,
        "environment and defaults (no settings file): ok\n",
    )
    result = run("config", "--check", TOOLBOX__SERVER__PORT="x")
    assert result.returncode == 2
    assert "environment TOOLBOX__SERVER__PORT: server.port: Expected `int`" in result.stderr
    result = run("config", "--check", str(here / "none"))
    assert result.stderr == f"toolbox: {here}/none: No such file or directory\n"


def test_what_serve_takes_passes_the_check(here: Path) -> None:
    # F-D5: a port that is in use now is no mistake of the settings; no log is left behind
    (here / "token").write_text("secret\n")
    (here / "work").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        file = here / "my.toml"
        file.write_text(
            f"[server]\nhost = '127.0.0.1'\nport = {listener.getsockname()[1]}\n"
            f"work_dir = '{here}/work'\n[auth]\ntoken_file = '{here}/token'\n"
            f"[log]\nfile = '{here}/log'\naudit = 'audit'\n[process]\nmax_waiting = 255\n"
        )
        result = run("config", "--check", str(file))
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{file}: ok\n", "")
    assert list((here / "work").iterdir()) == [] and not (here / "log").exists()
    for name in ("minimal", "headless", "desktop"):
        file = Path(__file__).parent.parent / "conf" / f"{name}.toml"
        result = run("config", "--check", str(file), TOOLBOX_TOKEN="secret")
        assert (result.returncode, result.stdout) == (0, f"{file}: ok\n"), result.stderr


def test_what_may_wait_is_below_the_threads_also_by_default(
    make_service: Callable[..., Service],
) -> None:
    # F-D5: 224 commands could wait for 8 threads, and nothing else was answered
    settings = "[server]\nthreads = 8\n"
    shown = run("config", TOOLBOX__SERVER__THREADS="8").stdout
    assert re.findall(r"(?m)^(\w+\.max_waiting = .*)$", shown) == [
        "lsp.max_waiting = 7  # default",
        "process.max_waiting = 7  # default",
        "swerex.max_waiting = 7  # default",
    ]
    service = make_service(settings=settings)
    streams: list[Any] = []
    try:
        for _ in range(10):
            sock = socket.create_connection(("127.0.0.1", service.port))
            body = b'{"command": "sleep 1000"}'
            sock.sendall(
                b"POST /process/execute HTTP/1.1\r\nHost: localhost\r\n"
                b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % (str(service.token).encode(), len(body)) + body
            )
            streams.append(sock)
        service.wait_for(
            lambda: len(service.http.get("/x/jobs").json()["jobs"]) == 7, "as many as may wait"
        )
        assert service.http.get("/healthz").status_code == 200
    finally:
        for sock in streams:
            sock.close()

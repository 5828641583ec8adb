"""Servers to measure: this service, its limits and its peers."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from bench.clients import TOKEN
from bench.clients import free_port
from bench.clients import request
from toolbox.linux.procfs import cpu_ticks

PROGRAM = ContextVar("PROGRAM", default=sys.executable)
"""The interpreter that runs this service: with ``--against``, also that of another commit."""

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
    directory: Path
    """Where it runs: its working directory."""
    started: float
    """Seconds from exec to the first answer."""

    def processes(self) -> list[int]:
        """It and its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]

    def memory(self) -> int:
        """Bytes of memory of it and its children (RSS)."""
        pages = sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.processes()
        )
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Seconds of CPU it and its children have taken so far."""
        return sum(map(cpu_ticks, self.processes())) / os.sysconf("SC_CLK_TCK")

    def threads(self) -> int:
        """Threads of it and its children."""
        return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in self.processes())


@contextmanager
def serving(
    command: list[str],
    port: int,
    cwd: str,
    env: dict[str, str],
    path: str = "/version",
    headers: str = "",
) -> Iterator[Server]:
    """Run ``command`` until it answers on ``port``, and end it afterwards.

    Its home is ``cwd``: what a login shell finds in a real one is not to be measured.
    """
    question = f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n".encode()
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**env, "HOME": cwd},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                if request(port, question).startswith(b"HTTP/1.1 200"):
                    break
            except OSError:
                pass
            if process.poll() is not None:
                raise RuntimeError(f"{command} has ended: {process.returncode}")
            time.sleep(0.001)
        yield Server(process.pid, port, Path(cwd), time.monotonic() - began)
    finally:
        process.terminate()
        process.wait(60)


@functools.cache
def _bytecode() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="toolbox-bench-bytecode-")


def environment() -> dict[str, str]:
    """Ours, with compiled modules kept, as an image has them."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": _bytecode().name}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


@contextmanager
def toolbox(settings: str = "", env: dict[str, str] | None = None) -> Iterator[Server]:
    """This service with every installed plugin; ``settings`` is the text of a TOML file."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "toolbox.toml")
        config.write_text(settings)
        command = [PROGRAM.get(), "-m", "toolbox", "serve", "--port", str(port)]
        environ = {**environment(), "TOOLBOX_TOKEN": TOKEN, "TOOLBOX_CONFIG": str(config)}
        with serving(command, port, directory, {**environ, **(env or {})}) as server:
            yield server


@contextmanager
def stock() -> Iterator[Server]:
    """A Flask application of one route under gunicorn's own gthread worker."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "hello.py").write_text(HELLO)
        command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "64"]
        command += ["--keep-alive", "75", "-b", f"127.0.0.1:{port}", "hello:app"]
        with serving(command, port, directory, environment()) as server:
            yield server


@functools.cache
def _installed(package: str) -> tuple[tempfile.TemporaryDirectory[str], str]:
    """A virtual environment with ``package``, and its interpreter."""
    directory = tempfile.TemporaryDirectory(prefix=f"toolbox-bench-{package}-")
    venv.create(directory.name, with_pip=True)
    program = shutil.which("python", path=f"{directory.name}/bin")
    assert program
    subprocess.run([program, "-m", "pip", "install", "-q", package], check=True)
    return directory, program


@contextmanager
def swe_rex() -> Iterator[Server]:
    """The peer swe-rex, installed into a virtual environment of its own."""
    _, program = _installed("swe-rex")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [program, "-m", "swerex.server", "--port", str(port)]
        command += ["--host", "127.0.0.1", "--auth-token", TOKEN]
        with serving(
            command, port, directory, environment(), "/is_alive", f"X-API-Key: {TOKEN}\r\n"
        ) as server:
            yield server


TERMINADO = """
import asyncio, sys
from terminado import SingleTermManager, TermSocket
from tornado.web import Application, RequestHandler

class Alive(RequestHandler):
    def get(self):
        self.write("ok")

async def main():
    manager = SingleTermManager(shell_command=["sh", "-c", sys.argv[2]])
    routes = [("/alive", Alive), ("/terminal", TermSocket, {"term_manager": manager})]
    Application(routes).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def terminado(command: str) -> Iterator[Server]:
    """The peer terminado; ``command`` runs in its terminal, at the WebSocket ``/terminal``."""
    _, program = _installed("terminado")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        arguments = [program, "-c", TERMINADO, str(port), command]
        with serving(arguments, port, directory, environment(), "/alive") as server:
            yield server

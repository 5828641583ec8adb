"""Fixtures for tests of the service and its plugins: a real one, in a process of its own.

Use it from a ``conftest.py``::

    pytest_plugins = ["toolbox.testing"]

Then ``service`` is a running service with every installed plugin, shared by a module's tests, and
``make_service`` starts one with settings of its own. Both are stopped at the end, and it is an
error if anything they started is left. ``make_backend`` makes a backend without a service, for the
tests that every backend of a group must pass: its plugin's module ``contract``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import AnyStr

import httpx
import pytest
import websocket

from toolbox.auth import Auth
from toolbox.group import NoOptions
from toolbox.lifecycle import Context
from toolbox.loop import Loop
from toolbox.plugins import NoSettings
from toolbox.processes import descendants
from toolbox.threads import Pool

TOKEN = "a-token-for-tests"
DEADLINE = 60.0
"""Seconds anything may take that should take none: machines that test are busy."""


def end_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process with everything below it, and close its pipes, whoever else holds them.

    Nothing is waited for but the process itself: it has no choice.
    """
    if process.poll() is None:
        for pid in (process.pid, *descendants(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    process.wait(DEADLINE)


@contextlib.contextmanager
def ending(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """Call :func:`end_tree` at the end, whatever has happened."""
    try:
        yield process
    finally:
        end_tree(process)


class _WebSocket(websocket.WebSocket):
    """Lets go of its socket when it is closed, also after a close frame has come."""

    def close(self, *arguments: Any, **options: Any) -> None:
        super().close(*arguments, **options)
        self.shutdown()  # type: ignore[no-untyped-call]


class Service:
    """A running ``toolbox serve``.

    ``settings`` is the text of a TOML file, ``env`` is added to the environment, in which HOME is
    an empty directory: a login shell runs whatever is in a real one. ``arguments`` go to the
    command line. The token is ``TOKEN`` unless ``token`` says otherwise (None: none is
    configured). ``wrapper`` is a program and its arguments that run it, in the end, in their place:
    ``("prlimit", "--nofile=64")``. ``python`` is the interpreter, which may have other plugins.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        settings: str = "",
        env: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
        wrapper: Sequence[str] = (),
        python: Path | str = sys.executable,
    ) -> None:
        self.directory = directory
        self.token = token
        self.log_file = directory / "service.log"
        port_file = directory / "port"
        port_file.unlink(missing_ok=True)
        work_dir = directory / "work"
        work_dir.mkdir(parents=True, exist_ok=True)
        settings_file = directory / "toolbox.toml"
        settings_file.write_text(settings)
        self.home = directory / "home"
        self.home.mkdir(exist_ok=True)
        environ = {**os.environ, "HOME": str(self.home), **(env or {})}
        environ["TOOLBOX_CONFIG"] = str(settings_file)
        if token is not None:
            environ["TOOLBOX_TOKEN"] = token
        command = [*wrapper, str(python), "-m", "toolbox", "serve", "--port", "0"]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port-file", str(port_file), *arguments],
                cwd=work_dir,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.work_dir = work_dir
        try:
            self.wait_for(lambda: port_file.exists() or self.process.poll() is not None, "the port")
            if self.process.poll() is not None:
                raise AssertionError(f"the service has ended:\n{self.log()}")
        except BaseException:
            end_tree(self.process)
            raise
        self.port = int(port_file.read_text())
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = self.client(token)

    def client(self, token: str | None, **options: Any) -> httpx.Client:
        """An HTTP client with ``token`` as its bearer token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # An idle connection that httpx thinks is too many or too old it closes in one thread while
        # another begins to use it.
        limits = httpx.Limits(keepalive_expiry=None)
        options = {"limits": limits, "timeout": DEADLINE, **options}
        return httpx.Client(base_url=self.url, headers=headers, **options)

    def websocket(
        self, path: str, *, authorized: bool = True, **options: Any
    ) -> websocket.WebSocket:
        """A WebSocket to ``path``, open. ``options`` as of websocket.create_connection.

        Raises websocket.WebSocketBadStatusException if it is refused.
        """
        headers = [f"Authorization: Bearer {self.token}"] if self.token and authorized else []
        sock = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        try:
            return websocket.create_connection(
                f"ws://127.0.0.1:{self.port}{path}",
                header=headers + options.pop("header", []),
                timeout=DEADLINE,
                socket=sock,
                class_=_WebSocket,
                **options,
            )
        except Exception:
            sock.close()  # The library forgets it.
            raise

    def log(self) -> str:
        """What the service has written so far, to standard output and error."""
        return self.log_file.read_text("utf-8", "replace")

    def workers(self) -> list[int]:
        """The pids of the worker processes: the master's children that run its program."""
        own = Path(f"/proc/{self.process.pid}/exe").resolve()
        found = []
        for pid in descendants(self.process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/exe").resolve() == own and _parent(pid) == self.process.pid:
                    found.append(pid)
        return found

    def wait_for(self, condition: Callable[[], object], what: str = "it") -> None:
        """Wait until ``condition()`` is true."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen in time:\n{self.log()}")
            time.sleep(0.01)

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """End it with ``sig``; its exit status. Fails if a process it started is left.

        One that doesn't end is killed, and that is a failure too.
        """
        self.http.close()
        below = descendants(self.process.pid)
        with ending(self.process):
            if self.process.poll() is None:
                self.process.send_signal(sig)
            status = self.process.wait(DEADLINE)
        left = [pid for pid in below if Path(f"/proc/{pid}").exists()]
        deadline = time.monotonic() + DEADLINE
        while left and time.monotonic() < deadline:
            time.sleep(0.01)
            left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
        assert not left, f"processes left behind: {left}\n{self.log()}"
        return status


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(status[1])


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services: ``make_service(*arguments, settings=..., env=..., token=...)``."""
    numbers = itertools.count()
    with contextlib.ExitStack() as started:  # Each is stopped, also where another can't be.

        def make(*arguments: str, **options: Any) -> Service:
            service = Service(tmp_path / f"service-{next(numbers)}", *arguments, **options)
            started.callback(service.stop)
            return service

        yield make


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One service with every installed plugin, for all tests of a module."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    running = Service(directory)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Make backends: ``make_backend(MyFiles, MySettings(), options=FilesOptions())``.

    The settings and the group's options may be left out where they have none. HOME and the
    directory where relative paths start are ``tmp_path``. What has ``close()`` is closed at the
    end.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    loop, pool = Loop(), Pool(8, "toolbox-pool")
    loop.start()
    pool.start()
    made: list[Any] = []

    def make(kind: Callable[..., Any], settings: Any = None, options: Any = None) -> Any:
        context = Context(options or NoOptions(), loop, pool, tmp_path, Auth("none"))
        made.append(kind(settings or NoSettings(), context))
        return made[-1]

    yield make
    for backend in reversed(made):
        if close := getattr(backend, "close", None):
            close()
    pool.shutdown()
    loop.stop()

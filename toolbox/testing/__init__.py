"""Fixtures for tests of the service and its plugins: a real service, in its own process.

Use it from a ``conftest.py``::

    pytest_plugins = ["toolbox.testing"]

Then ``service`` is a running service with every installed plugin, shared by the tests of a module,
and ``make_service`` starts one with other settings. Both are stopped at the end, and it is an error
if a process they started is left. ``make_backend`` makes a backend without a service, for the tests
that every backend of a group must pass: those of its plugin's module ``contract``.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
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

from toolbox.auth.factory import make_auth
from toolbox.lifecycle import Context
from toolbox.linux.procfs import children
from toolbox.plugins import NoSettings
from toolbox.plugins.capabilities import Closable
from toolbox.processes import descendants
from toolbox.settings import AuthSettings
from toolbox.sockets.loop import Loop
from toolbox.threads import Pool

TOKEN = "a-token-for-tests"
PYTHON = os.environ.get("TOOLBOX_TEST_PYTHON") or sys.executable
_ONLY_SANDBOX = '\n[fleet]\nbackend = "single"\n'  # Unless a test wants one that makes others.
DEADLINE = 60.0
"""Seconds to wait for something that should take none: test machines are busy."""


def end_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process and everything below it, and close its pipes.

    Only the process itself is waited for: another may hold a pipe open indefinitely.
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


@functools.cache
def guard() -> subprocess.Popen[bytes]:
    """Return the program that ends our services if we are killed, started by the first one."""
    program = Path(__file__).with_name("guard.py")
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Neither Ctrl-C nor a signal to our process group must end it before us.
        start_new_session=True,
    )
    atexit.register(process.communicate, timeout=DEADLINE)
    return process


def _end_with_runner(pid: int, directory: Path) -> None:
    pipe = guard().stdin
    assert pipe is not None
    pipe.write(b"%d %s\n" % (pid, os.fsencode(f"{directory.absolute()}/")))
    pipe.flush()


@contextlib.contextmanager
def ending(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """Call :func:`end_tree` at the end of the block, even after an error."""
    try:
        yield process
    finally:
        end_tree(process)


class _WebSocket(websocket.WebSocket):
    """A WebSocket that closes its socket even after it has received a close frame."""

    def close(self, *arguments: Any, **options: Any) -> None:
        super().close(*arguments, **options)
        self.shutdown()  # type: ignore[no-untyped-call]


class Service:
    """A running ``toolbox serve``.

    ``settings`` is the text of a TOML file, ``env`` is added to the environment, in which HOME is
    an empty directory: a login shell runs the files of a real one. ``arguments`` are added to the
    command line. ``token`` is the bearer token to configure, None for no token. ``wrapper`` is a
    program with arguments that executes the service in its place: ``("prlimit", "--nofile=64")``.
    ``python`` is the interpreter, which may have other plugins: this one, or what the environment
    variable ``TOOLBOX_TEST_PYTHON`` names. ``listener`` is a socket to serve on (``--fd``).
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        settings: str = "",
        env: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
        wrapper: Sequence[str] = (),
        python: Path | str = PYTHON,
        listener: socket.socket | None = None,
    ) -> None:
        self.directory = directory
        self.token = token
        self.log_file = directory / "service.log"
        port_file = directory / "port"
        port_file.unlink(missing_ok=True)
        work_dir = directory / "work"
        work_dir.mkdir(parents=True, exist_ok=True)
        settings_file = directory / "toolbox.toml"
        settings_file.write_text(settings + ("" if "[fleet]" in settings else _ONLY_SANDBOX))
        self.home = directory / "home"
        self.home.mkdir(exist_ok=True)
        environ = {**os.environ, "HOME": str(self.home), **(env or {})}
        environ |= {"TOOLBOX_CONFIG": str(settings_file), "XDG_STATE_HOME": f"{directory}/state"}
        if token is not None:
            environ["TOOLBOX_TOKEN"] = token
        fds = [listener.fileno()] if listener else []
        where = ["--fd", str(fds[0])] if fds else ["--port", "0"]
        command = [*wrapper, str(python), "-m", "toolbox", "serve", *where]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port-file", str(port_file), *arguments],
                cwd=work_dir,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=fds,
            )
        _end_with_runner(self.process.pid, directory)
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
        """Return an HTTP client with ``token`` as its bearer token and httpx's ``options``."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # httpx closes an idle connection that is one too many or too old in one thread while
        # another thread begins to use it.
        limits = httpx.Limits(keepalive_expiry=None)
        # To load certificates takes a client 30 ms of processor time, and this is http.
        options = {"limits": limits, "timeout": DEADLINE, "verify": False, **options}
        return httpx.Client(base_url=self.url, headers=headers, **options)

    def websocket(
        self, path: str, *, authorized: bool = True, **options: Any
    ) -> websocket.WebSocket:
        """Return an open WebSocket to ``path``; ``options`` as of websocket.create_connection.

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
            sock.close()  # The library doesn't close it.
            raise

    def log(self) -> str:
        """Return what the service has written so far to standard output and error."""
        return self.log_file.read_text("utf-8", "replace")

    def workers(self) -> list[int]:
        """Return the pids of the workers: the children of the master that run its program."""
        own = Path(f"/proc/{self.process.pid}/exe").resolve()
        found = []
        for pid in sorted(children(self.process.pid)):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/exe").resolve() == own:
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
        """Stop the service with ``sig`` and return its exit status.

        Fails if a process it started is left, or if it has to be killed.
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


@pytest.fixture
def make_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services: ``make_service(*arguments, settings=..., env=..., token=...)``."""
    numbers = itertools.count()
    with contextlib.ExitStack() as started:  # Each is stopped even if another can't be.

        def make(*arguments: str, **options: Any) -> Service:
            service = Service(tmp_path / f"service-{next(numbers)}", *arguments, **options)
            started.callback(service.stop)
            return service

        yield make


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A running service with every installed plugin, for all tests of a module."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    running = Service(directory)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Make backends: ``make_backend(MyFiles, MySettings(), group_settings=GroupSettings())``.

    The settings of backend and group may be omitted if there are none. HOME and the directory
    where relative paths start are ``tmp_path``. A backend with ``close()`` is closed at the end.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    loop, pool = Loop(), Pool(8, "toolbox-pool")
    loop.start()
    pool.start()
    made: list[Any] = []

    def make(kind: Callable[..., Any], settings: Any = None, group_settings: Any = None) -> Any:
        auth = make_auth(AuthSettings(mode="none"), "127.0.0.1", {})
        context = Context(group_settings or NoSettings(), loop, pool, tmp_path, auth)
        made.append(kind(settings or NoSettings(), context))
        return made[-1]

    yield make
    for backend in reversed(made):
        if isinstance(backend, Closable):
            backend.close()
    pool.shutdown()
    loop.stop()

"""Services in surroundings that are short of something, and what becomes of them."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import Service

READ_ONLY = """
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
mount -o remount,bind,ro /
exec "$@"
"""
"""Run a program where only the directory ``$0`` can be written."""

NAMESPACE = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]


def read_only_except(directory: Path) -> list[str]:
    """The wrapper of a service that can write below ``directory`` and, on disk, nowhere else."""
    return [*NAMESPACE, "sh", "-c", READ_ONLY, str(directory)]


def needs_namespaces() -> None:
    """Skip where the kernel lets nobody make a mount namespace."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace can't be made; as root it can")


class Cgroup:
    """A control group of its own for one service and everything it starts, with limits."""

    def __init__(self, **limits: int) -> None:
        self._directories = []
        for name, limit in limits.items():
            controller = name.partition("_")[0]
            v1 = Path(f"/sys/fs/cgroup/{controller}")
            parent = v1 if v1.is_dir() else Path("/sys/fs/cgroup")
            directory = Path(tempfile.mkdtemp(prefix="toolbox-test-", dir=parent))
            self._directories.append(directory)
            file = {"memory": "memory.limit_in_bytes" if v1.is_dir() else "memory.max"}
            (directory / file.get(controller, f"{controller}.max")).write_text(str(limit))

    @property
    def wrapper(self) -> list[str]:
        """What runs a program inside."""
        enter = "".join(f"echo $$ > {each}/cgroup.procs; " for each in self._directories)
        return ["sh", "-c", f'set -e; {enter}exec "$0" "$@"']

    def remove(self) -> None:
        """Once it is empty, which it is a moment after the last process has gone."""
        deadline = time.monotonic() + DEADLINE
        for directory in self._directories:
            while not _removed(directory):
                assert time.monotonic() < deadline, f"{directory} is in use"
                time.sleep(0.01)


def _removed(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        directory.rmdir()
    return not directory.exists()


@pytest.fixture
def cgroup() -> Iterator[Callable[..., Cgroup]]:
    """Make control groups: ``cgroup(memory=bytes, pids=number)``."""
    made: list[Cgroup] = []

    def make(**limits: int) -> Cgroup:
        try:
            made.append(Cgroup(**limits))
        except OSError as error:
            pytest.skip(f"a control group can't be made, as root can: {error}")
        return made[-1]

    yield make
    for each in made:
        each.remove()


@pytest.fixture(scope="module")
def confined() -> Iterator[Service]:
    """A service that can do what it likes and still harms nothing: the disk is read-only but for
    its own directory, and so it is asked for anything.
    """
    needs_namespaces()
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    home = directory / "home"
    home.mkdir()
    env = {"HOME": str(home), "TMPDIR": str(home)}
    running = Service(directory, env=env, wrapper=read_only_except(directory))
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def application() -> Iterator[int]:
    """The port of an application behind the proxy, which answers with its path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()

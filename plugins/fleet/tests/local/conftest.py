"""A control plane with real sandboxes, which may be killed and started again."""

from __future__ import annotations

import os
import signal
import stat
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import httpx
import pytest

from toolbox.linux.procfs import all_processes
from toolbox.linux.procfs import read_process
from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

SETTINGS = """
[fleet]
backend = "local"
[fleet.local]
on_stop = "stop"
stop_timeout = 3
"""


def marked(sandbox_id: str) -> set[int]:
    """The pids of the live processes that bear the sandbox's id in their environment."""
    found = set()
    for process in all_processes():
        try:
            environ = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue
        if f"TOOLBOX_FLEET_SANDBOX={sandbox_id}".encode() in environ.split(b"\0"):
            found.add(process.pid)
    return found


def _parent(pid: int) -> int:
    process = read_process(pid)
    return process.parent if process else 0


class Fleet:
    """A control plane with the backend ``local``."""

    def __init__(self, directory: Path, settings: str = "", wrapper: Sequence[str] = ()) -> None:
        self.directory = directory
        self.wrapper = wrapper
        self.settings = SETTINGS + settings
        self.data = directory / "state" / "toolbox" / "fleet"
        self.service = Service(directory, settings=self.settings, wrapper=wrapper)

    @property
    def http(self) -> httpx.Client:
        return self.service.http

    def create(self, **body: Any) -> dict[str, Any]:
        """Create a sandbox and wait until it is started."""
        created = self.call("POST", "/api/sandbox", json=body)
        return self.wait(created["id"], "started")

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self.http.request(method, path, **options)
        assert answer.is_success, answer.text
        result: dict[str, Any] = answer.json() if answer.content else {}
        return result

    def get(self, key: str) -> dict[str, Any]:
        return self.call("GET", f"/api/sandbox/{key}")

    def wait(self, key: str, *states: str) -> dict[str, Any]:
        """Wait until a sandbox is in one of the states."""
        last: dict[str, Any] = {}

        def reached() -> bool:
            last.update(self.get(key))
            return last["state"] in (*states, "error")

        self.service.wait_for(reached, f"{key} {states}")
        assert last["state"] in states, (last["state"], last.get("errorReason"))
        return last

    def delete(self, key: str) -> None:
        """Delete a sandbox and wait until it is gone."""
        self.call("DELETE", f"/api/sandbox/{key}")
        self.wait_gone(key)

    def wait_gone(self, key: str) -> None:
        def gone() -> bool:
            return self.http.get(f"/api/sandbox/{key}").status_code == 404

        self.service.wait_for(gone, f"the end of {key}")

    def run(self, sandbox: dict[str, Any], command: str, token: str = TOKEN) -> str:
        """Run a command in a sandbox by its own URL, as an SDK does; return its output."""
        answer = self.ask(sandbox, "POST", "/process/execute", token, json={"command": command})
        assert answer.status_code == 200, answer.text
        result = answer.json()
        assert result["exitCode"] == 0, result
        return str(result["result"])

    def ask(
        self,
        sandbox: dict[str, Any],
        method: str,
        path: str,
        token: str = TOKEN,
        **options: Any,
    ) -> httpx.Response:
        url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        # Without the certificates, to load which takes 30 ms, for nothing but http.
        options |= {"headers": headers, "timeout": DEADLINE, "verify": False}
        return httpx.request(method, url, **options)

    def files(self, sandbox: dict[str, Any]) -> Path:
        """The tree of a sandbox's own files, as this machine sees it."""
        return self.data / "sandboxes" / str(sandbox["id"]) / "files"

    def home(self, sandbox: dict[str, Any]) -> Path:
        return self.files(sandbox) / "home" / "daytona"

    def again(self, sandbox: dict[str, Any]) -> dict[str, Any]:
        """Stop and start a sandbox."""
        self.call("POST", f"/api/sandbox/{sandbox['id']}/stop")
        self.wait(sandbox["id"], "stopped")
        self.call("POST", f"/api/sandbox/{sandbox['id']}/start")
        return self.wait(sandbox["id"], "started")

    def marked(self, sandbox_id: str) -> set[int]:
        return marked(sandbox_id)

    def tree(self, sandbox_id: str) -> set[int]:
        """The pids of a sandbox's processes, also of those that have cleared their environment."""
        roots = marked(sandbox_id)
        return roots.union(*(descendants(pid) for pid in roots))

    def masters(self, sandbox_id: str) -> set[int]:
        """The pids of the sandbox's processes that its service started from."""
        roots = marked(sandbox_id)
        return {pid for pid in roots if not roots & {_parent(pid)}}

    def end(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the control plane without notice; its sandboxes are left."""
        pids = [self.service.process.pid, *self.service.workers()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.service.process.wait(DEADLINE)
        self.service.http.close()
        self.service.wait_for(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in pids))

    def start(self) -> None:
        """Start it again, with the same directory."""
        self.service = Service(self.directory, settings=self.settings, wrapper=self.wrapper)

    def stop(self) -> None:
        """Stop it, and all sandboxes; nothing may be left of them."""
        ids = [path.name for path in self.data.glob("sandboxes/*")]
        self.service.stop()
        assert {one: marked(one) for one in ids if marked(one)} == {}


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Start control planes: ``make_fleet(settings)``."""
    made: list[Fleet] = []

    def make(settings: str = "") -> Fleet:
        made.append(Fleet(tmp_path / f"fleet-{len(made)}", settings))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A control plane that the tests of a module share."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.stop()


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A control plane whose sandboxes are in bubblewrap, which the tests of a module share."""
    fleet = Fleet(tmp_path_factory.mktemp("boxed"), 'isolation = "bubblewrap"\n')
    yield fleet
    fleet.stop()


USERS = "61000-61099"
ROOT = Path(__file__).resolve().parents[4]


def passable() -> list[str]:
    """A program around others in which every user can run this Python.

    That, its virtual environment and the checkout may be in directories that only root enters, as a
    home and ``.tox`` are: the rest of those is hidden then.
    """
    kept = sorted({Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT})
    above = sorted({parent for path in kept for parent in path.parents})
    private = [each for each in above if not each.stat().st_mode & stat.S_IXOTH]
    if not private:
        return []
    steps = ["saved=$(mktemp -d)"]
    for directory in private:
        inside = [path for path in kept if path.is_relative_to(directory)]
        names = {path: f"$saved/{directory.name}-{inside.index(path)}" for path in inside}
        steps += [
            f"mkdir {name}; mount --bind {quote(str(path))} {name}" for path, name in names.items()
        ]
        steps.append(f"mount -t tmpfs -o mode=755 hidden {quote(str(directory))}")
        for path, name in names.items():
            place = quote(str(path))
            steps.append(f"mkdir -p {place}; mount --bind {name} {place}")
    return ["unshare", "--mount", "sh", "-ec", "\n".join([*steps, 'exec "$@"']), "sh"]


@pytest.fixture(scope="module")
def users() -> Iterator[Fleet]:
    """A control plane whose sandboxes have a user each."""
    with tempfile.TemporaryDirectory(prefix="toolbox-users-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        fleet = Fleet(Path(name), f'isolation = "user"\nuser = "{USERS}"\n', passable())
        yield fleet
        fleet.stop()

"""Directories of state: where they are, who uses them, who takes them over."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from toolbox_process.engine.followers import FollowerLimit
from toolbox_process.engine.state import LASTING
from toolbox_process.engine.state import PREFIX
from toolbox_process.engine.state import StateDirectory
from toolbox_process.errors import TooManyFollowers

from toolbox.testing import DEADLINE


def run(code: str, directory: Path) -> str:
    """Run a worker whose parent is this process; it ends as if killed."""
    program = (
        "import os\nfrom toolbox_process.engine.state import StateDirectory\n"
        f"state = StateDirectory({str(directory)!r}, lasting=True)\n"
        f"print({code}, flush=True)\nos._exit(0)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_directory_is_private_and_made_once(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path / "not" / "yet"))
    assert list(tmp_path.iterdir()) == [], "only when it is needed"
    path = state.path()
    assert path.parent == tmp_path / "not" / "yet"
    assert path.name.startswith(f"{PREFIX}{os.getpid()}-")
    assert path.stat().st_mode & 0o777 == 0o700
    assert state.path() == path
    assert state.paths() == [path]
    (path / "file").touch()
    state.close()
    assert not path.exists()
    assert state.paths() == []


def test_a_directory_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    first = state.path()
    before = len(os.listdir("/proc/self/fd"))
    first.rmdir()
    second = state.path()
    assert second != first
    assert second.is_dir()
    assert len(os.listdir("/proc/self/fd")) == before
    state.close()


@pytest.mark.parametrize("small", [False, True])
def test_there_are_several_places_and_an_end_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    state = StateDirectory("", small=small)
    found: list[Path] = []
    with pytest.raises(OSError):
        while True:
            found.append(state.path(len(found)))
    assert len(set(found)) == len(found) >= 2
    assert found[0].parent == (Path("/dev/shm") if small else tmp_path)
    assert all(path.is_dir() for path in found)
    state.close()
    assert not any(path.exists() for path in found)


def test_pipes_go_on_elsewhere_while_the_configured_place_is_full(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path / "state"), small=True)
    assert state.path().parent == tmp_path / "state"
    assert state.path(1).parent == Path("/dev/shm")
    state.close()
    with pytest.raises(OSError):
        StateDirectory(str(tmp_path / "state")).path(1)


def test_a_place_that_can_not_be_used_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    state = StateDirectory("")
    assert state.path().parent == Path("/tmp")
    state.close()
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        StateDirectory(str(tmp_path / "file")).path()


@pytest.mark.parametrize("used", [True, False])
def test_what_nobody_uses_is_deleted(tmp_path: Path, used: bool) -> None:
    left = tmp_path / f"{PREFIX}1-abc"
    left.mkdir()
    (left / "file").touch()
    lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
    if used:
        fcntl.flock(lock, fcntl.LOCK_SH)
    state, other = StateDirectory(str(tmp_path)), StateDirectory(str(tmp_path))
    path = state.path()
    assert left.exists() == used
    os.close(lock)
    other.path()
    assert not left.exists()
    assert path.exists()
    state.close()
    other.close()


def test_the_next_worker_takes_over_what_a_killed_one_has_left(tmp_path: Path) -> None:
    """But nothing that is in use, or of another service."""
    made = Path(run("state.path()", tmp_path))
    assert made.name.startswith(f"{LASTING}{os.getpid()}-")
    other = tmp_path / f"{LASTING}1-0-abc"
    other.mkdir()
    (tmp_path / f"{made.name.rsplit('-', 1)[0]}-link").symlink_to(other)
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    assert run("state.adopt()", tmp_path) == "[]"
    os.close(lock)
    plain = StateDirectory(str(tmp_path))
    plain.path()
    assert made.is_dir(), "no other service deletes it, as this process lives"
    assert not other.exists(), "process 1 has not started at 0"
    assert run("*state.adopt(), state.close()", tmp_path) == f"{made} None"
    assert not made.exists()
    plain.close()


def test_threads_get_one_directory(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(state.path())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(found) == 8
    assert len(set(found)) == 1
    state.close()


def test_followers_are_limited() -> None:
    limit = FollowerLimit(2)
    clients = [object() for _ in range(3)]
    for client in clients[:2]:
        limit.enter(client)
    with pytest.raises(TooManyFollowers, match="limit 2"):
        limit.enter(clients[2])
    limit.leave(clients[2])
    with pytest.raises(TooManyFollowers):
        limit.enter(clients[2])
    limit.leave(clients[0])
    limit.leave(clients[0])
    limit.enter(clients[2])
    with pytest.raises(TooManyFollowers):
        limit.enter(clients[0])

"""The sync SDK creates sandboxes, finds them, and takes them from one state to another."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import CreateSandboxFromImageParams
from daytona import CreateSandboxFromSnapshotParams
from daytona import Daytona
from daytona import DaytonaConflictError
from daytona import DaytonaError
from daytona import DaytonaNotFoundError
from daytona import ListSandboxesQuery
from daytona import Resources
from daytona import Sandbox
from daytona import SandboxState

from toolbox.testing import Service

Create = Callable[..., Sandbox]


@pytest.fixture
def create(daytona: Daytona) -> Iterator[Create]:
    """Create sandboxes by the parameters of a snapshot; they are deleted at the end."""
    made: list[Sandbox] = []

    def make(**params: Any) -> Sandbox:
        made.append(daytona.create(CreateSandboxFromSnapshotParams(**params)))
        return made[-1]

    yield make
    for each in made:
        try:
            each.delete(wait=True)
        except DaytonaNotFoundError:
            pass


def test_the_first_example_of_everybody(daytona: Daytona) -> None:
    sandbox = daytona.create()
    assert sandbox.state == SandboxState.STARTED
    assert sandbox.process.code_run("print('Hello')").result == "Hello\n"
    assert sandbox.process.exec("echo $((6 * 7))").result == "42\n"
    daytona.delete(sandbox, wait=True)
    with pytest.raises(DaytonaNotFoundError):
        daytona.get(sandbox.id)


def test_what_is_asked_for_is_what_is_there(create: Create, daytona: Daytona) -> None:
    sandbox = create(
        name="Everything 1",
        language="javascript",
        env_vars={"WORD": "w x", "EMPTY": ""},
        labels={"team": "é, ü", "empty": ""},
        public=True,
        auto_stop_interval=11,
        auto_archive_interval=12,
        auto_delete_interval=13,
        ttl_minutes=14,
        queue_timeout=15,
        target="local",
    )
    for seen in (sandbox, daytona.get("Everything 1"), daytona.get(sandbox.id)):
        assert (seen.id, seen.name) == (sandbox.id, "Everything 1")
        assert seen.labels == {"team": "é, ü", "empty": "", "code-toolbox-language": "javascript"}
        assert seen.env == {"WORD": "w x", "EMPTY": ""}
        assert (seen.public, seen.target) == (True, "local")
        assert (seen.auto_stop_interval, seen.auto_archive_interval) == (11, 12)
        assert seen.auto_delete_interval == 13
        assert seen.auto_destroy_at is not None
    assert sandbox.process.exec('echo "$WORD,$EMPTY."').result == "w x,.\n"
    assert sandbox.process.code_run("console.log(process.env.WORD)").result == "w x\n"


def test_images_are_not_there(daytona: Daytona) -> None:
    """A sandbox has the files of this machine, which are not those of an image."""
    with pytest.raises(DaytonaError, match=r"fleet\.local\] builder") as caught:
        daytona.create(CreateSandboxFromImageParams(image="python:3.12-slim"))
    assert caught.value.status_code == 501


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_a_sandbox_from_the_name_of_a_default_snapshot(create: Create, size: str) -> None:
    sandbox = create(snapshot=f"daytona-{size}")
    assert sandbox.snapshot == f"daytona-{size}"
    assert sandbox.process.exec("echo up").result == "up\n"


def test_wishes_that_can_not_be_granted(create: Create) -> None:
    create(name="taken")
    with pytest.raises(DaytonaConflictError, match="taken"):
        create(name="taken")
    with pytest.raises(DaytonaError, match="no-such-snapshot"):
        create(snapshot="no-such-snapshot")


def test_list(create: Create, daytona: Daytona) -> None:
    made = {create(labels={"of": "list", "number": str(each)}).id for each in range(3)}
    found = list(daytona.list(ListSandboxesQuery(labels={"of": "list"}, limit=2)))
    assert {each.id for each in found} == made
    assert made <= {each.id for each in daytona.list()}
    query = ListSandboxesQuery(labels={"of": "list", "number": "1"})
    assert [each.labels["number"] for each in daytona.list(query)] == ["1"]
    query = ListSandboxesQuery(labels={"of": "list"}, states=[SandboxState.STOPPED])
    assert list(daytona.list(query)) == []


def test_stop_and_start(create: Create, daytona: Daytona) -> None:
    sandbox = create()
    sandbox.fs.upload_file(b"kept", "kept.txt")
    sandbox.stop()
    assert sandbox.state == SandboxState.STOPPED
    with pytest.raises(DaytonaError):
        sandbox.process.exec("true")
    daytona.start(sandbox)
    assert sandbox.state == SandboxState.STARTED
    assert sandbox.fs.download_file("kept.txt") == b"kept"
    daytona.stop(sandbox)
    sandbox.wait_for_sandbox_stop()
    sandbox.start()
    sandbox.wait_for_sandbox_start()
    sandbox.stop(force=True)
    sandbox.refresh_data()
    assert sandbox.state == SandboxState.STOPPED


def test_pause(create: Create) -> None:
    sandbox = create()
    sandbox.process.create_session("counting")
    sandbox.pause()
    assert sandbox.state == SandboxState.PAUSED
    sandbox.start()
    assert sandbox.state == SandboxState.STARTED
    assert [each.session_id for each in sandbox.process.list_sessions()] == ["counting"]


def test_archive(create: Create, daytona: Daytona, fleet: Service) -> None:
    sandbox = create()
    sandbox.fs.upload_file(b"kept", "kept.txt")
    sandbox.stop()
    sandbox.archive()
    fleet.wait_for(lambda: daytona.get(sandbox.id).state == SandboxState.ARCHIVED, "the archive")
    sandbox.start()
    assert sandbox.fs.download_file("kept.txt") == b"kept"


def test_fork(create: Create) -> None:
    sandbox = create(labels={"of": "fork"}, env_vars={"WORD": "given"})
    sandbox.fs.upload_file(b"one", "a.txt")
    forked = sandbox.fork(name="forked")
    try:
        assert (forked.name, forked.state) == ("forked", SandboxState.STARTED)
        assert forked.id != sandbox.id
        assert forked.fs.download_file("a.txt") == b"one"
        forked.fs.upload_file(b"two", "a.txt")
        assert sandbox.fs.download_file("a.txt") == b"one"
        assert forked.process.exec("echo $WORD").result == "given\n"
    finally:
        forked.delete(wait=True)


def test_recover(create: Create, fleet: Service) -> None:
    """A sandbox that has lost its service is in error, says why, and can be recovered."""
    sandbox = create()
    sandbox.fs.upload_file(b"kept", "kept.txt")
    kill_service(sandbox)

    def failed() -> bool:
        sandbox.refresh_data()
        return sandbox.state == SandboxState.ERROR

    fleet.wait_for(failed, "the error")
    assert sandbox.error_reason
    sandbox.recover()
    assert sandbox.state == SandboxState.STARTED
    assert sandbox.fs.download_file("kept.txt") == b"kept"


def test_resize(create: Create) -> None:
    sandbox = create()
    sandbox.resize(Resources(cpu=1, memory=2))
    sandbox.wait_for_resize_complete()
    sandbox.refresh_data()
    assert (sandbox.cpu, sandbox.memory, sandbox.state) == (1, 2, SandboxState.STARTED)


def kill_service(sandbox: Sandbox) -> None:
    """Kill all processes of a sandbox, as the kernel does when memory runs out."""
    mark = f"TOOLBOX_FLEET_SANDBOX={sandbox.id}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            pass  # It has ended, or isn't ours.

"""The sync SDK on snapshots, volumes, secrets and warm pools."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from daytona import CreateSandboxFromSnapshotParams
from daytona import CreateSecretParams
from daytona import CreateSnapshotParams
from daytona import Daytona
from daytona import DaytonaConflictError
from daytona import DaytonaError
from daytona import DaytonaNotFoundError
from daytona import Image
from daytona import Sandbox
from daytona import UpdateSecretParams
from daytona import VolumeMount
from daytona_api_client.exceptions import ConflictException
from daytona_api_client.exceptions import NotFoundException

from toolbox.testing import Service


@contextlib.contextmanager
def created(daytona: Daytona, **params: Any) -> Iterator[Sandbox]:
    """Create a sandbox that is deleted at the end of the block."""
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(**params))
    try:
        yield sandbox
    finally:
        sandbox.delete(wait=True)


def test_snapshots(daytona: Daytona) -> None:
    with created(daytona) as sandbox:
        sandbox.fs.upload_file(b"kept", "kept.txt")
        sandbox.stop()
        sandbox.create_snapshot("mine")
        with pytest.raises(DaytonaConflictError):
            sandbox.create_snapshot("mine")
    taken = daytona.snapshot.get("mine")
    assert (taken.name, taken.state) == ("mine", "active")
    assert taken.id in [each.id for each in daytona.snapshot.list(limit=100).items]
    assert daytona.snapshot.activate("mine").id == taken.id
    with created(daytona, snapshot="mine") as sandbox:
        assert sandbox.snapshot == "mine"
        assert sandbox.fs.download_file("kept.txt") == b"kept"
    daytona.snapshot.delete(taken)
    with pytest.raises(DaytonaNotFoundError):
        daytona.snapshot.get("mine")


def test_a_snapshot_of_a_running_sandbox(sandbox: Sandbox, daytona: Daytona) -> None:
    sandbox.create_snapshot("of-a-running-one")
    sandbox.refresh_data()
    assert sandbox.state is not None and sandbox.state.value == "started"
    daytona.snapshot.delete("of-a-running-one")


def test_images_are_not_built(daytona: Daytona) -> None:
    for image in ("python:3.12", Image.debian_slim("3.12").pip_install("requests")):
        with pytest.raises(DaytonaError, match=r"fleet\.local\] builder") as caught:
            daytona.snapshot.create(CreateSnapshotParams(name="image", image=image))
        assert caught.value.status_code == 501


def test_volumes(daytona: Daytona) -> None:
    volume = daytona.volume.create("shared")
    assert daytona.volume.get("shared").id == volume.id
    assert daytona.volume.get("made-by-get", create=True).name == "made-by-get"
    assert {each.name for each in daytona.volume.list()} == {"shared", "made-by-get"}
    mount = [VolumeMount(volume_id=volume.id, mount_path="/home/daytona/volume")]
    path = "/home/daytona/volume/a.txt"
    with created(daytona, volumes=mount) as one, created(daytona, volumes=mount) as other:
        one.fs.upload_file(b"from one", path)
        assert other.fs.download_file(path) == b"from one"
        with pytest.raises(DaytonaConflictError):
            daytona.volume.delete(volume)
    daytona.volume.delete(volume)
    daytona.volume.delete(daytona.volume.get("made-by-get"))
    assert daytona.volume.list() == []


def test_secrets(daytona: Daytona) -> None:
    secret = daytona.secret.create(CreateSecretParams(name="KEY", value="s3cret", description="d"))
    # The SDK doesn't translate errors about secrets.
    with pytest.raises(ConflictException):
        daytona.secret.create(CreateSecretParams(name="KEY", value="other"))
    assert "s3cret" not in secret.model_dump_json()
    assert daytona.secret.get(secret.id).description == "d"
    assert [each.name for each in daytona.secret.list().items] == ["KEY"]
    with created(daytona, secrets={"API_KEY": "KEY"}) as sandbox:
        assert sandbox.process.exec("echo $API_KEY").result == "s3cret\n"
        daytona.secret.update(secret.id, UpdateSecretParams(value="n3w", description="e"))
        sandbox.update_secrets({"OTHER": "KEY"})
        sandbox.stop()
        sandbox.start()
        assert sandbox.process.exec("echo $OTHER,$API_KEY").result == "n3w,\n"
    daytona.secret.delete(secret.id)
    with pytest.raises(NotFoundException):
        daytona.secret.get(secret.id)


def test_warm_pools(daytona: Daytona, fleet: Service) -> None:
    pool = daytona.warm_pool.create("daytona-small", 1)

    def filled() -> bool:
        [pool] = daytona.warm_pool.list()
        return pool.current_size == pool.pool

    fleet.wait_for(filled, "a warm sandbox")
    assert [each for each in daytona.list() if each.warm_pool_id] == []
    with created(daytona, snapshot="daytona-small", env_vars={"A": "b"}, name="warm") as sandbox:
        assert sandbox.process.exec("echo $A").result == "b\n"
        assert daytona.get("warm").id == sandbox.id
    assert daytona.warm_pool.update(pool.id, 2).pool == 2
    fleet.wait_for(filled, "two warm sandboxes")
    daytona.warm_pool.delete(pool.id)
    assert daytona.warm_pool.list() == []

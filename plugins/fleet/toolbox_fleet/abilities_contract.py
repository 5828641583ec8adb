"""The part of the contract about abilities: tests of one that the backend lacks are skipped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from toolbox_fleet.backend import CanArchive
from toolbox_fleet.backend import CanFork
from toolbox_fleet.backend import CanPause
from toolbox_fleet.backend import CanRecover
from toolbox_fleet.backend import CanRotateSigningKey
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasSecrets
from toolbox_fleet.backend import HasSnapshots
from toolbox_fleet.backend import HasVolumes
from toolbox_fleet.backend import HasWarmPools
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NewSnapshot
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.warm_pools import CreateWarmPool
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet.testing import stopped

T = TypeVar("T")

IMAGE = "toolbox"
"""An image with the service, for backends that run images."""

NOTHING = "../no such'; --"


def able(backend: FleetBackend, ability: type[T]) -> T:
    """Return the backend as one with an ability, or skip the test."""
    if not isinstance(backend, ability):
        pytest.skip(f"{type(backend).__name__} lacks {ability.__name__}")
    return backend


class AbilitiesContract:
    """Tests of the abilities of a backend that makes sandboxes."""

    def test_pause(self, backend: FleetBackend) -> None:
        """A paused one goes on when it is started; a stopped one can't be paused."""
        pausing = able(backend, CanPause)
        sandbox = made(backend)
        assert pausing.pause(sandbox.id).state in ("pausing", "paused")
        reaches(backend, sandbox.id, "paused")
        assert pausing.pause(sandbox.id).state == "paused"
        backend.start(sandbox.id)
        reaches(backend, sandbox.id, "started")
        backend.stop(sandbox.id, force=True)
        reaches(backend, sandbox.id, "stopped")
        with pytest.raises(WrongState):
            pausing.pause(sandbox.id)
        with pytest.raises(NoSuchSandbox):
            pausing.pause(NOTHING)

    def test_archive(self, backend: FleetBackend) -> None:
        """A stopped one can be archived, and started from there; a started one can't."""
        archiving = able(backend, CanArchive)
        sandbox = made(backend)
        with pytest.raises(WrongState):
            archiving.archive(sandbox.id)
        backend.stop(sandbox.id, force=True)
        reaches(backend, sandbox.id, "stopped")
        assert archiving.archive(sandbox.id).state in ("archiving", "archived")
        reaches(backend, sandbox.id, "archived")
        backend.start(sandbox.id)
        reaches(backend, sandbox.id, "started")

    def test_recover(self, backend: FleetBackend) -> None:
        """Only what is in error is recovered; what is as it would be then stays so."""
        recovering = able(backend, CanRecover)
        sandbox = made(backend)
        assert recovering.recover(sandbox.id, skip_start=False).state == "started"
        backend.stop(sandbox.id, force=True)
        reaches(backend, sandbox.id, "stopped")
        assert recovering.recover(sandbox.id, skip_start=True).state == "stopped"
        with pytest.raises(WrongState):
            recovering.recover(sandbox.id, skip_start=False)
        with pytest.raises(NoSuchSandbox):
            recovering.recover(NOTHING, skip_start=False)

    def test_fork(self, backend: FleetBackend) -> None:
        """A fork is another sandbox, with a name of its own."""
        forking = able(backend, CanFork)
        origin = stopped(backend, name="origin", labels={"a": "b"}, env={"A": "1"})
        fork = forking.fork("origin", "copy")
        assert (fork.name, fork.labels, fork.env) == ("copy", origin.labels, origin.env)
        assert fork.id != origin.id
        reaches(backend, "copy", "started")
        with pytest.raises(NameTaken):
            forking.fork("origin", "copy")
        with pytest.raises(NoSuchSandbox):
            forking.fork(NOTHING, None)

    def test_rotate_signing_key(self, backend: FleetBackend) -> None:
        """The new key is another one, and stays."""
        rotating = able(backend, CanRotateSigningKey)
        sandbox = made(backend)
        old = backend.signing_key(sandbox.id)
        new = rotating.rotate_signing_key(sandbox.id)
        assert old != new == backend.signing_key(sandbox.id)

    def test_snapshots(self, backend: FleetBackend) -> None:
        """One is taken of a sandbox, sandboxes are made of it, and outlive it."""
        keeping = able(backend, HasSnapshots)
        sandbox = stopped(backend)
        again: Callable[[], object]
        try:
            keeping.take_snapshot(sandbox.id, NewSnapshot(name="shot"))
            again = partial(keeping.take_snapshot, sandbox.id, NewSnapshot(name="shot"))
        except Unsupported:
            # Files in a pod can't be taken: snapshots are images there.
            again = partial(keeping.create_snapshot, CreateSnapshot(name="shot", image_name=IMAGE))
            again()
        # The backend may have others that nobody has made.
        given = {one.name for one in keeping.snapshots()} - {"shot"}
        eventually(lambda: keeping.snapshot("shot").state == "active")
        assert {one.name for one in keeping.snapshots()} == {"shot", *given}
        reaches(backend, sandbox.id, "stopped")
        with pytest.raises(NameTaken):
            again()
        snapshot = keeping.snapshot("shot")
        assert keeping.snapshot(snapshot.id).name == "shot"
        made(backend, name="child", snapshot="shot")
        keeping.delete_snapshot(snapshot.id)
        eventually(lambda: {one.name for one in keeping.snapshots()} == given)
        assert backend.sandbox("child").state == "started"
        for key in (NOTHING, "shot"):
            with pytest.raises(NoSuchResource):
                keeping.snapshot(key)
            with pytest.raises(NoSuchResource):
                keeping.delete_snapshot(key)
        with pytest.raises(NoSuchResource):
            backend.create(CreateSandbox(snapshot="shot"))
        with pytest.raises(NoSuchSandbox):
            keeping.take_snapshot(NOTHING, NewSnapshot(name="other"))

    def test_volumes(self, backend: FleetBackend) -> None:
        """Names are unique, and what is deleted is gone."""
        keeping = able(backend, HasVolumes)
        volume = keeping.create_volume("data")
        with pytest.raises(NameTaken):
            keeping.create_volume("data")
        eventually(lambda: [one.state for one in keeping.volumes()] == ["ready"])
        keeping.delete_volume(volume.id)
        eventually(lambda: not list(keeping.volumes()))
        with pytest.raises(NoSuchResource):
            keeping.delete_volume(NOTHING)

    def test_secrets(self, backend: FleetBackend) -> None:
        """Nothing that is returned has the value."""
        keeping = able(backend, HasSecrets)
        secret = keeping.create_secret(CreateSecret(name="KEY", value="the value"))
        with pytest.raises(NameTaken):
            keeping.create_secret(CreateSecret(name="KEY", value="other"))
        updated = keeping.update_secret(secret.id, UpdateSecret(description="new"))
        assert updated.description == "new"
        assert [one.id for one in keeping.secrets()] == [secret.id]
        assert "the value" not in repr([secret, updated, *keeping.secrets()])
        keeping.delete_secret(secret.id)
        assert not list(keeping.secrets())
        with pytest.raises(NoSuchResource):
            keeping.update_secret(secret.id, UpdateSecret())
        with pytest.raises(NoSuchResource):
            keeping.delete_secret(NOTHING)

    def test_warm_pools(self, backend: FleetBackend) -> None:
        """A pool is of a snapshot that exists."""
        keeping = able(backend, HasWarmPools)
        with pytest.raises(NoSuchResource):
            keeping.create_warm_pool(CreateWarmPool(snapshot=NOTHING, pool=1))
        with pytest.raises(NoSuchResource):
            keeping.update_warm_pool(NOTHING, 1)
        with pytest.raises(NoSuchResource):
            keeping.delete_warm_pool(NOTHING)

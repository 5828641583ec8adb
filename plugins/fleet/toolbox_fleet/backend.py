"""The Protocols of a backend of the group ``fleet``.

:class:`FleetBackend` is all that a backend must have. The others are abilities: a backend that
lacks one lacks its methods, and the group responds 501 with the name of the Protocol, or with what
it would take: the text for the Protocol in the mapping ``lacks`` of the backend, if it has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from typing import runtime_checkable

from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.configuration import StorageAccess
from toolbox_fleet.models.metrics import Series
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.sandboxes import NewSnapshot
from toolbox_fleet.models.sandboxes import Resources
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import Secret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.models.ssh import SshAccess
from toolbox_fleet.models.ssh import SshAccessValidation
from toolbox_fleet.models.volumes import Volume
from toolbox_fleet.models.warm_pools import CreateWarmPool
from toolbox_fleet.models.warm_pools import WarmPool


class FleetBackend(Protocol):
    """Creates sandboxes and rules over them.

    When it is complete it makes a :class:`toolbox_fleet.plane.Plane`, its attribute ``plane``; it
    reports each event there, and closes it with itself.

    Sandboxes are named by ``key``: an id or a name. Every method that takes one raises
    NoSuchSandbox. Methods that take a sandbox from one state to another return at once, with the
    sandbox in its transitional state (``creating``, ``starting``, ``stopping``, ``destroying``);
    the work goes on behind, and its end is an event. They raise WrongState if the present state
    doesn't allow them, and return the sandbox unchanged if it is already as desired.
    """

    def create(self, wanted: CreateSandbox) -> Sandbox:
        """Create a sandbox, which then starts. One that it is linked to is there, and named by id.

        Raises NameTaken, InvalidValue, NoSuchResource, NoCapacity, Unsupported.
        """

    def sandbox(self, key: str) -> Sandbox:
        """Return a sandbox."""

    def sandboxes(self) -> Iterable[Sandbox]:
        """Return all sandboxes, those that wait in warm pools too, in any order."""

    def start(self, key: str) -> Sandbox:
        """Start a stopped or archived sandbox, or resume a paused one."""

    def stop(self, key: str, force: bool) -> Sandbox:
        """End all processes of a sandbox; its files stay. ``force`` gives them no time to end."""

    def delete(self, key: str) -> Sandbox:
        """Remove a sandbox in any state, with its files."""

    def change(self, key: str, changes: Changes) -> Sandbox:
        """Change fields of its record. Returns the changed sandbox."""

    def upstream(self, key: str) -> Upstream:
        """Return where requests for the sandbox go. Raises WrongState unless it is started or
        about to be.
        """

    def signing_key(self, key: str) -> str:
        """Return the key of signed URLs. Raises NoSigningKey."""


@runtime_checkable
class CanPause(Protocol):
    """Sandboxes can be suspended with their processes in memory; ``start`` resumes them."""

    def pause(self, key: str) -> Sandbox:
        """Suspend a started sandbox."""


@runtime_checkable
class CanArchive(Protocol):
    """Stopped sandboxes can be moved to cheaper storage; ``start`` restores them."""

    def archive(self, key: str) -> Sandbox:
        """Archive a stopped sandbox."""


@runtime_checkable
class CanRecover(Protocol):
    """Sandboxes in the state ``error`` can be brought back."""

    def recover(self, key: str, skip_start: bool) -> Sandbox:
        """Recover a sandbox and start it, or with ``skip_start`` leave it stopped."""


@runtime_checkable
class CanResize(Protocol):
    """The limits of sandboxes can be changed."""

    def resize(self, key: str, resources: Resources) -> Sandbox:
        """Set new limits. Raises InvalidValue, Unsupported."""


@runtime_checkable
class CanFork(Protocol):
    """Sandboxes can be copied."""

    def fork(self, key: str, name: str | None) -> Sandbox:
        """Create a copy of a sandbox and return it. Raises NameTaken, InvalidValue."""


@runtime_checkable
class CanIsolateNetwork(Protocol):
    """The network that a sandbox reaches can be limited."""

    def set_network(self, key: str, settings: NetworkSettings) -> Sandbox:
        """Change what a sandbox may reach. Raises InvalidValue, Unsupported."""


@runtime_checkable
class CanRotateSigningKey(Protocol):
    """The key of signed URLs can be replaced."""

    def rotate_signing_key(self, key: str) -> str:
        """Replace the key of a sandbox; URLs signed with the old one are void. Returns the new."""


@runtime_checkable
class HasMetrics(Protocol):
    """The resources that sandboxes use are recorded."""

    def metrics(self, key: str, start: float, end: float) -> list[Series]:
        """Return the records between two times, in seconds since the epoch."""


@runtime_checkable
class HasSnapshots(Protocol):
    """Sandboxes can be created from snapshots: by id or name, too."""

    def snapshots(self) -> Iterable[Snapshot]:
        """Return all snapshots, in any order."""

    def snapshot(self, key: str) -> Snapshot:
        """Return a snapshot. Raises NoSuchResource."""

    def create_snapshot(self, wanted: CreateSnapshot) -> Snapshot:
        """Create a snapshot from an image or a build.

        Raises NameTaken, InvalidValue, Unsupported.
        """

    def delete_snapshot(self, key: str) -> None:
        """Remove a snapshot; sandboxes made of it stay. Raises NoSuchResource, Refused."""

    def take_snapshot(self, key: str, wanted: NewSnapshot) -> Sandbox:
        """Make a snapshot of a sandbox. Returns the sandbox in the state ``snapshotting``.

        Raises NoSuchSandbox, NameTaken, InvalidValue, WrongState, Unsupported.
        """


@runtime_checkable
class HasVolumes(Protocol):
    """Storage that outlives sandboxes, and that several share."""

    def volumes(self) -> Iterable[Volume]:
        """Return all volumes."""

    def create_volume(self, name: str) -> Volume:
        """Create a volume. Raises NameTaken, InvalidValue."""

    def delete_volume(self, volume_id: str) -> None:
        """Remove a volume with its files. Raises NoSuchResource, InUse."""


@runtime_checkable
class HasSecrets(Protocol):
    """Values that are kept apart from the sandboxes that use them."""

    def secrets(self) -> Iterable[Secret]:
        """Return all secrets, without their values."""

    def create_secret(self, wanted: CreateSecret) -> Secret:
        """Keep a secret. Raises NameTaken, InvalidValue."""

    def update_secret(self, secret_id: str, update: UpdateSecret) -> Secret:
        """Change a secret. Raises NoSuchResource, InvalidValue."""

    def delete_secret(self, secret_id: str) -> None:
        """Forget a secret. Raises NoSuchResource, InUse."""

    def set_secrets(self, key: str, secrets: list[dict[str, str]]) -> Sandbox:
        """Replace the secrets of a sandbox. Raises NoSuchSandbox, NoSuchResource."""


@runtime_checkable
class HasWarmPools(Protocol):
    """Started sandboxes that wait to be taken by ``create``."""

    def warm_pools(self) -> Iterable[WarmPool]:
        """Return all pools."""

    def create_warm_pool(self, wanted: CreateWarmPool) -> WarmPool:
        """Create a pool. Raises NameTaken if the snapshot has one, NoSuchResource."""

    def update_warm_pool(self, pool_id: str, size: int) -> WarmPool:
        """Set the number of sandboxes to keep ready. Raises NoSuchResource."""

    def delete_warm_pool(self, pool_id: str) -> None:
        """Remove a pool and the sandboxes that wait in it. Raises NoSuchResource."""


@runtime_checkable
class HasSshAccess(Protocol):
    """Sandboxes can be reached by SSH, with tokens that expire."""

    def create_ssh_access(self, key: str, minutes: float) -> SshAccess:
        """Issue a token for a sandbox. Raises NoSuchSandbox, InvalidValue."""

    def revoke_ssh_access(self, key: str, token: str | None) -> Sandbox:
        """Revoke a token of a sandbox, or all. Raises NoSuchSandbox, NoSuchResource."""

    def validate_ssh_access(self, token: str) -> SshAccessValidation:
        """Return whether a token is valid, and for which sandbox."""


@runtime_checkable
class HasObjectStorage(Protocol):
    """Clients can upload the files that an image is built of."""

    def push_access(self) -> StorageAccess:
        """Return credentials for an upload."""


@runtime_checkable
class HasBuildLogs(Protocol):
    """The images of sandboxes and snapshots are built here, and the builds are logged.

    The methods raise at once, not when the log is read.
    """

    def build_log(self, key: str, follow: bool) -> Iterable[bytes]:
        """Return the log of the build of a sandbox's image; with ``follow`` up to the build's end.

        Raises NoSuchSandbox, NoSuchResource if its image was not built, Unsupported.
        """

    def snapshot_build_log(self, key: str, follow: bool) -> Iterable[bytes]:
        """Return the log of the build of a snapshot, in the same way.

        Raises NoSuchResource also if the snapshot was not built, Unsupported.
        """

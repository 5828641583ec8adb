"""Images: snapshots that a command makes of a Dockerfile, and the sandboxes that wait for them.

A Dockerfile is built once: its snapshot is named by its digest, and the next sandbox that brings
the same text begins with the same files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial

import msgspec

from toolbox.threads import Pool
from toolbox.trees.errors import Cancelled
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.storage.build_logs import BuildLogs
from toolbox_fleet.local.storage.building import Command
from toolbox_fleet.local.storage.templates import Templates
from toolbox_fleet.local.store import Store
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import BuildInfo
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import State
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.times import format_time

log = logging.getLogger("toolbox")

AT_ONCE = 2
"""Builds at a time: each may take all cores."""

LONGEST = 1024 * 1024
"""Characters of a Dockerfile."""

NO_BUILDER = (
    "images are built by the command of [fleet.local] builder, which is not set: set it, make a"
    " snapshot of a sandbox, or name one of [fleet.local] default_snapshots"
)

WAITING = frozenset({"pending_build", "building_snapshot"})
"""States of sandboxes whose image is not there yet."""

_BROKEN = frozenset({"error", "build_failed"})
"""States of snapshots that another build may replace."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A Dockerfile that is built, and all that was made of it beside files."""

    dockerfile: str
    env: dict[str, str] = {}


class Images(Supply):
    """Builds images, and lets sandboxes wait for them."""

    def __init__(
        self, store: Store, lifecycle: Lifecycle, templates: Templates, settings: LocalSettings
    ) -> None:
        self._lifecycle = lifecycle
        self._states = lifecycle.states
        self._templates = templates
        self._settings = settings
        self._table = store.table("build", Built)
        self._store = store
        self.logs = BuildLogs(lifecycle.layout)
        self._pool = Pool(AT_ONCE, "toolbox-fleet-build")
        templates.gone.append(self._forget)
        lifecycle.postponed = self.continue_waiting

    def create(self, wanted: CreateSnapshot) -> Snapshot:
        """Begin to build a snapshot. Raises NameTaken, InvalidValue, Unsupported."""
        info = wanted.build_info
        if info is None:
            if not wanted.image_name:
                raise InvalidValue("a snapshot is made of an imageName or a buildInfo")
            info = BuildInfo(dockerfile_content=_dockerfile(wanted))
        self._check(info)
        now = format_time()
        snapshot = Snapshot(
            id=str(uuid.uuid4()),
            name=wanted.name,
            image_name=wanted.image_name or None,
            # Also while it waits for others: clients follow the log of one that is built.
            state="building",
            entrypoint=wanted.entrypoint,
            cpu=wanted.cpu or self._settings.cpu,
            mem=wanted.memory or self._settings.memory,
            disk=wanted.disk or self._settings.disk,
            created_at=now,
            updated_at=now,
        )
        with self._states.lock, self._store.transaction():
            self._begin(snapshot, info)
        return snapshot

    def check(self, wanted: CreateSandbox, record: Record) -> Record:
        if wanted.build_info is None:
            # The snapshot that it names may be an image.
            return self._with_environment(record)
        if wanted.snapshot is not None:
            raise InvalidValue("a sandbox begins with a snapshot or with a build, not with both")
        self._check(wanted.build_info)
        snapshot = self._image(wanted.build_info)
        self._templates.lend(snapshot, record.sandbox.id)
        state: State = "creating" if snapshot.state == "active" else "pending_build"
        sandbox = msgspec.structs.replace(record.sandbox, snapshot=snapshot.name, state=state)
        record = msgspec.structs.replace(record, sandbox=sandbox, template=snapshot.id, empty=True)
        return self._with_environment(record)

    def _with_environment(self, record: Record) -> Record:
        """Return a new sandbox's record with the variables of its image."""
        built = self._table.get(record.template)
        if built is None or not built.env:
            return record
        # What the client has asked for is not replaced by what the image has.
        env = {**built.env, **record.sandbox.env}
        sandbox = msgspec.structs.replace(record.sandbox, env=env)
        return msgspec.structs.replace(record, sandbox=sandbox)

    def _check(self, info: BuildInfo) -> None:
        if not self._settings.builder:
            raise Unsupported(NO_BUILDER)
        if info.context_hashes:
            raise Unsupported(
                "the files of a build can't be uploaded: there is no object storage; a Dockerfile"
                " without COPY and ADD can be built"
            )
        text = info.dockerfile_content
        if not text.strip() or "\0" in text or len(text) > LONGEST:
            raise InvalidValue(f"a Dockerfile has 1 to {LONGEST} characters, and no NUL")

    def _image(self, info: BuildInfo) -> Snapshot:
        """Return the snapshot of a Dockerfile, whose build is begun if there is none."""
        digest = hashlib.sha256(info.dockerfile_content.encode("utf-8", "replace")).hexdigest()
        name = f"image-{digest[:32]}"
        known = self._templates.table.find(name)
        if known is not None and known.state not in _BROKEN:
            return known
        if known is not None:
            self._templates.delete(known.id)
        now = format_time()
        snapshot = Snapshot(
            id=str(uuid.uuid4()),
            name=name,
            # Also while it waits for others: clients follow the log of one that is built.
            state="building",
            cpu=self._settings.cpu,
            mem=self._settings.memory,
            disk=self._settings.disk,
            created_at=now,
            updated_at=now,
        )
        self._begin(snapshot, info)
        return snapshot

    def _begin(self, snapshot: Snapshot, info: BuildInfo) -> None:
        self._templates.add(snapshot)
        built = Built(dockerfile=info.dockerfile_content)
        self._table.add(snapshot.id, None, built)
        self._submit(snapshot)

    def _submit(self, snapshot: Snapshot) -> None:
        self.logs.announce(snapshot.id)
        self._pool.submit(self._states.guard, snapshot.id, partial(self._run, snapshot.id))

    def _run(self, identity: str) -> None:
        with self._states.lock:
            built = self._table.get(identity)
            # Deleted, or never stored: its creation has failed with that of its sandbox.
            if built is None:
                self.logs.end(identity)
                self._tell_waiting(identity)
                return
        with self.logs.writing(identity) as write:
            try:
                self._build(identity, built, write)
            except Exception as error:
                if self._states.closing:
                    return  # The next start of the service begins it again.
                write(f"\n{error}\n".encode())
                log.info("the build of snapshot %s failed: %s", identity, error)
                self._templates.fail(identity, str(error) or type(error).__name__, "build_failed")
        with self._states.lock:
            self._tell_waiting(identity)

    def _build(self, identity: str, built: Built, write: Callable[[bytes], None]) -> None:
        def check() -> None:
            if self._states.closing or self._templates.table.get(identity) is None:
                raise Cancelled("nobody wants the image any more")

        services = self._lifecycle.services
        with self._templates.growing(identity) as (files, work):
            command = Command(
                self._settings.builder,
                identity,
                services.groups.make(identity),
                self._settings.build_timeout,
            )
            try:
                env = command.run(built.dockerfile, work, files, write, check)
            # Whatever ends this, nothing may go on writing into what is removed next.
            finally:
                services.end_rest(None, identity)
            self._table.change(identity, lambda row: msgspec.structs.replace(row, env=env))

    def _tell_waiting(self, identity: str) -> None:
        """Let the sandboxes that wait for a build go on. With the lock of states."""
        for record in self._states.table.all():
            if record.template == identity and record.sandbox.state in WAITING:
                self.continue_waiting(record)

    def continue_waiting(self, record: Record) -> None:
        """Take a sandbox that waits for its image to the state that the build is in."""
        with self._states.lock:
            snapshot = self._templates.table.get(record.template)
            if snapshot is None or snapshot.state in _BROKEN:
                reason = snapshot.error_reason if snapshot else "its image was deleted"
                self._states.store(record.sandbox.id, "build_failed", reason=reason)
            elif snapshot.state == "active":
                self._states.table.change(record.sandbox.id, self._with_environment)
                self._lifecycle.begin_creating(self._states.store(record.sandbox.id, "creating"))
            else:
                self._states.store(record.sandbox.id, "building_snapshot")

    def recover(self) -> None:
        """After a restart: begin again what was interrupted, and forget what nobody has."""
        known = set(self._templates.table.ids())
        for identity in set(self._table.ids()) - known:
            self._table.remove(identity)
        for identity in self.logs.present() - known:
            self.logs.discard(identity)
        for snapshot in self._templates.table.all():
            if snapshot.state == "building":
                # What was killed has left its command.
                self._lifecycle.services.end_rest(None, snapshot.id)
                self._submit(snapshot)

    def log_of(self, identity: str, follow: bool) -> Iterator[bytes]:
        """Return the log of the build of a snapshot. Raises NoSuchResource, Unsupported."""
        if identity not in self._table.ids():
            if not self._settings.builder:
                raise Unsupported(NO_BUILDER)
            raise NoSuchResource("it was not built here, so there is no log")
        return self.logs.read(identity, follow)

    def _forget(self, identity: str) -> None:
        self._table.remove(identity)
        self.logs.discard(identity)

    def close(self) -> None:
        """End all builds; the next start begins them again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.logs.close()


def _dockerfile(wanted: CreateSnapshot) -> str:
    """Return the Dockerfile that means an image as it is, with another entrypoint."""
    entrypoint = f"ENTRYPOINT {json.dumps(wanted.entrypoint)}\n" if wanted.entrypoint else ""
    return f"FROM {wanted.image_name}\n{entrypoint}"


class BuildAbility:
    """See :class:`toolbox_fleet.backend.HasBuildLogs`."""

    _images: Images
    _templates: Templates
    _states_of: Callable[[str], Record]

    def build_log(self, key: str, follow: bool) -> Iterator[bytes]:
        return self._images.log_of(self._states_of(key).template, follow)

    def snapshot_build_log(self, key: str, follow: bool) -> Iterator[bytes]:
        return self._images.log_of(self._templates.find(key).id, follow)

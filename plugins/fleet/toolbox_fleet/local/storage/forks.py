"""Forks: new sandboxes that begin with the files of another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from toolbox.trees.staging import Staging
from toolbox_fleet.errors import WrongState
from toolbox_fleet.local.creating import new_record
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.storage.quiet import QUIET
from toolbox_fleet.local.storage.quiet import quiet
from toolbox_fleet.local.storage.quiet import until
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox

_PACKED = frozenset({"archived", "restoring"})
"""States of a sandbox whose files are not at their place."""

_SUSPENDED = frozenset({"paused", "resuming"})
"""States of a sandbox that stands still already, and has to."""


class Forks(Supply):
    """Makes forks; the copy is the first step of the new sandbox's creation."""

    def __init__(
        self, lifecycle: Lifecycle, layout: Layout, staging: Staging, settings: LocalSettings
    ) -> None:
        self._lifecycle = lifecycle
        self._states = lifecycle.states
        self._layout = layout
        self._staging = staging
        self._settings = settings

    def fork(self, key: str, name: str | None) -> Sandbox:
        """Begin to copy a sandbox. Raises NoSuchSandbox, WrongState, NameTaken, InvalidValue."""
        with self._states.lock:
            source = self._states.record(key)
            if source.sandbox.state not in QUIET:
                raise WrongState(f"the sandbox is {source.sandbox.state}")
            user = self._lifecycle.services.isolation.user
            record = new_record(_wanted(source, name), self._settings, user)
            sandbox = msgspec.structs.replace(record.sandbox, snapshot=source.sandbox.snapshot)
            record = msgspec.structs.replace(
                record, sandbox=sandbox, source=source.sandbox.id, empty=True
            )
            # From here on whatever is asked of the source waits for the copy.
            return self._lifecycle.create(record)

    def fill(self, record: Record, files: Path, canceled: Callable[[], bool]) -> None:
        if not record.source:
            return
        # Nothing else may happen to the source meanwhile. Nobody waits the other way round: a
        # sandbox that is being created has no forks.
        with self._states.busy(record.source):
            source = self._states.table.get(record.source)
            # Only if a copy has failed and is tried again: it holds its source no more.
            if source is None or source.sandbox.state in _PACKED:
                raise WrongState("the sandbox to be copied is gone, or archived")
            source_files = self._layout.sandbox(record.source).files
            # Whatever it is about to become, it is what it was: that waits for us.
            with quiet(self._lifecycle.services, source, source.sandbox.state not in _SUSPENDED):
                owner = self._lifecycle.services.isolation.owner(record.uid)
                self._staging.copy(source_files, files, until(canceled), owner)


def _wanted(source: Record, name: str | None) -> CreateSandbox:
    """Return the wish for a sandbox like ``source``."""
    old = source.sandbox
    return CreateSandbox(
        name=name,
        env=old.env,
        labels=old.labels,
        public=old.public,
        network_block_all=old.network_block_all,
        cpu=old.cpu,
        memory=old.memory,
        disk=old.disk,
        auto_stop_interval=old.auto_stop_interval,
        auto_pause_interval=old.auto_pause_interval,
        auto_archive_interval=old.auto_archive_interval,
        auto_delete_interval=old.auto_delete_interval,
        volumes=old.volumes,
        # Names only: the fork gets the values of its own start.
        secrets=source.secrets,
    )


class ForkAbility:
    """See :class:`toolbox_fleet.backend.CanFork`."""

    _forks: Forks

    def fork(self, key: str, name: str | None) -> Sandbox:
        return self._forks.fork(key, name)

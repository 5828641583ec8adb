"""The snapshots that are there without anybody having made one, and that have no files."""

from __future__ import annotations

import uuid

from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.times import format_time

_NAMESPACE = uuid.UUID("0d9d3f8e-6a7c-5a7e-8f0e-3b1f6f0c2d11")
"""For ids that are the same after a restart: clients keep them."""


class Defaults:
    """Snapshots for the names that clients send unasked, by ``[fleet.local] default_snapshots``.

    What can be created from can be found, too: clients look before they create.
    """

    def __init__(self, settings: LocalSettings) -> None:
        # The age of what has always been there is that of the service.
        self._made = format_time()
        self.all = [self._snapshot(name, settings) for name in settings.default_snapshots]
        self._found = {key: one for one in self.all for key in (one.id, one.name)}

    def find(self, key: str) -> Snapshot | None:
        """Return one by id or name; None without one."""
        return self._found.get(key)

    def _snapshot(self, name: str, settings: LocalSettings) -> Snapshot:
        identity = str(uuid.uuid5(_NAMESPACE, name))
        return Snapshot(
            id=identity,
            name=name,
            general=True,
            size=0.0,
            cpu=settings.cpu,
            mem=settings.memory,
            disk=settings.disk,
            created_at=self._made,
            updated_at=self._made,
            ref=identity,
        )

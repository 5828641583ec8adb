"""Archives: the files of stopped sandboxes, packed."""

from __future__ import annotations

import os
from pathlib import Path

from toolbox.trees.errors import described
from toolbox.trees.staging import Staging
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.states import Transition
from toolbox_fleet.local.storage.packing import pack
from toolbox_fleet.local.storage.packing import unpack
from toolbox_fleet.local.storage.quiet import until
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import Sandbox

# A sandbox that can't be packed is as it was.
ARCHIVE = Transition(frozenset({"stopped"}), "archiving", "archived", "archived", "stopped")

# Beside the sandboxes, not in theirs: deleted files must not take its archive along.
KIND = "archives"


class Archives(Supply):
    """Packs the files of sandboxes and unpacks them.

    They are there, or their archive, or both for a moment; whoever finds both keeps the files,
    which are then complete.
    """

    def __init__(self, lifecycle: Lifecycle, layout: Layout, staging: Staging) -> None:
        self._lifecycle = lifecycle
        self._layout = layout
        self._staging = staging

    def archive(self, key: str) -> Sandbox:
        """Begin to pack a stopped sandbox. Raises NoSuchSandbox, WrongState."""
        return self._lifecycle.states.run(key, ARCHIVE, self._archive)

    def continue_archiving(self, record: Record) -> None:
        """Go on after a restart."""
        self._lifecycle.states.submit(record, ARCHIVE, self._archive)

    def _archive(self, record: Record) -> None:
        files = self._layout.sandbox(record.sandbox.id).files
        place = self._place(record)
        if not _has_files(files) and place.exists():
            return  # An earlier control plane was killed at the end of it.
        self._layout.make(place.parent)
        # An older one: files that are there are newer.
        self._staging.discard(place)
        check = until(lambda: self._lifecycle.is_canceled(record))
        with described("can't pack the files"), self._staging.growing(place) as path:
            pack(files, path, check)
        self._staging.discard(files)

    def restore(self, record: Record) -> None:
        place = self._place(record)
        if not place.exists():
            return
        files = self._layout.sandbox(record.sandbox.id).files
        if not _has_files(files):
            self._staging.discard(files)
            check = until(lambda: self._lifecycle.is_canceled(record))
            with described("can't unpack the files"), self._staging.growing(files) as path:
                unpack(place, path, check)
        # Last: killed before, the next start finds both and keeps the files.
        self._staging.discard(place)

    def gone(self, record: Record) -> None:
        self._staging.discard(self._place(record))

    def _place(self, record: Record) -> Path:
        return self._layout.place(KIND, record.sandbox.id)


def _has_files(files: Path) -> bool:
    try:
        with os.scandir(files) as entries:
            return next(entries, None) is not None
    # The usual case of an archived one; empty ones are what a start has made anew.
    except FileNotFoundError:
        return False


class ArchiveAbility:
    """See :class:`toolbox_fleet.backend.CanArchive`."""

    _archives: Archives

    def archive(self, key: str) -> Sandbox:
        return self._archives.archive(key)

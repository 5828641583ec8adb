"""The directory of all checkpoints: one in it for each, which appears when it is complete."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from toolbox_checkpoints.errors import CheckpointNotFound

Record = dict[str, Any]
"""The content of a checkpoint's file ``record.json``. Paths are as Python has them."""

_ID = re.compile(r"[0-9a-f]{32}")


class _Complete(msgspec.Struct):
    """The record of a complete checkpoint, as the helper writes it."""

    id: str
    path: str
    label: str
    exclude: list[str]
    created: str
    files: int
    directories: int
    size: int
    stored: int
    skipped: dict[str, int]
    consistent: bool
    changed: list[str]
    changed_count: int


class Store:
    """Records on the disk, which services with the same directory share."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the directory, when it is first needed. Raises OSError."""
        # Nobody else may look in: the copies have the modes of the files.
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def exists(self) -> bool:
        """Report whether there has ever been a checkpoint."""
        return self.directory.is_dir()

    def leftovers(self, kind: str) -> bool:
        """Report whether something is in ``.work`` or ``.making``: going on, or left."""
        directory = self.directory / kind
        return directory.is_dir() and any(directory.iterdir())

    def path(self, identity: str) -> Path:
        """Return the directory of a checkpoint. Raises CheckpointNotFound if it can't be one."""
        if not _ID.fullmatch(identity):
            raise CheckpointNotFound(f"no checkpoint {identity[:64]!r}")
        return self.directory / identity

    def records(self) -> list[Record]:
        """Return the records, the oldest first."""
        found = []
        if self.exists():
            # What is being made or removed has other names.
            for path in self.directory.iterdir():
                if _ID.fullmatch(path.name) and (record := _read(path)):
                    found.append(record)
        return sorted(found, key=lambda record: str(record["created"]))

    def record(self, identity: str) -> Record:
        """Return the record of a checkpoint. Raises CheckpointNotFound."""
        record = _read(self.path(identity))
        if record is None:
            raise CheckpointNotFound(f"no checkpoint {identity!r}")
        return record

    def latest(self, path: str) -> str:
        """Return the id of the last checkpoint of a directory, empty without one."""
        ids = [record["id"] for record in self.records() if record["path"] == path]
        return str(ids[-1]) if ids else ""

    def stored(self) -> int:
        """Return the bytes of all checkpoints."""
        return sum(int(record["stored"]) for record in self.records())

    def discard(self, identity: str) -> None:
        """Take a checkpoint away, for a sweep to remove. Raises OSError, CheckpointNotFound."""
        trash = self.directory / ".trash"
        trash.mkdir(mode=0o700, exist_ok=True)
        try:
            self.path(identity).rename(trash / identity)
        except FileNotFoundError:
            raise CheckpointNotFound(f"no checkpoint {identity!r}") from None


def _read(path: Path) -> Record | None:
    # One that is damaged must not make all the others useless.
    with contextlib.suppress(OSError, ValueError, RecursionError, msgspec.ValidationError):
        # Not by msgspec, which has no strings for names that are no UTF-8.
        record: Record = json.loads((path / "record.json").read_bytes())
        if msgspec.convert(record, _Complete).id == path.name:
            return record
    return None

"""The seam between sandboxes and what they may be given: templates, volumes, secrets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from toolbox_fleet.local.records import Record
from toolbox_fleet.models.sandboxes import CreateSandbox


class Mount(NamedTuple):
    """A directory of this machine that a sandbox sees at an absolute path of its own."""

    source: Path
    target: Path
    descriptor: int
    """The directory itself. Its path passes through those that sandboxes may write to, and another
    one may be there at the next look.
    """


class Supply:
    """One kind of resource that sandboxes are made with. Does nothing, for those who need less."""

    def check(self, wanted: CreateSandbox, record: Record) -> Record:
        """Return ``record``, a sandbox about to be created, with what the request asks for.

        Within the request, in the transaction that stores the record. Raises InvalidValue,
        NoSuchResource, Unsupported.
        """
        return record

    def fill(self, record: Record, files: Path, canceled: Callable[[], bool]) -> None:
        """Fill the empty tree of a new sandbox; stop early if ``canceled()``. Raises OSError."""

    def mounts(self, record: Record, held: ExitStack) -> list[Mount]:
        """Return the directories that a sandbox has beside its files, open as long as ``held`` is.

        Before each start. Raises OSError.
        """
        return []

    def environment(self, record: Record) -> dict[str, str]:
        """Return variables for its service. Before each start, never stored."""
        return {}

    def restore(self, record: Record) -> None:
        """Bring back the files of an archived sandbox. Raises OSError."""

    def gone(self, record: Record) -> None:
        """Note that a sandbox was deleted."""

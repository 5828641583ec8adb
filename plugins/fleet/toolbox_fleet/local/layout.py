"""The directories of the fleet.

No name from outside is part of a path: directories are named by ids that the fleet makes itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolbox.trees.removing import remove_tree
from toolbox_fleet.local.places import make_inside

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A UUID of version 4, as ``str(uuid.uuid4())``."""


class Layout:
    """The paths below one directory. Makes none of them until it is asked to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "fleet.db"
        self.lock = root / "lock"
        self.reserve = root / "reserve"
        self.sandboxes = root / "sandboxes"
        self.trash = root / "trash"
        """Directories that are being deleted, which may be interrupted."""

    def prepare(self) -> None:
        """Make the directories that hold the others. Raises OSError."""
        # Nobody else may look in: homes hold what callers upload.
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for directory in (self.sandboxes, self.trash):
            self.make(directory)

    def make(self, directory: Path) -> Path:
        """Make a directory of the fleet that nobody else may enter. Raises OSError."""
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    def place(self, kind: str, identity: str) -> Path:
        """Return the directory of a resource, such as ``("snapshots", id)``.

        Raises ValueError for an id that the fleet has not made.
        """
        if not _ID.fullmatch(identity):
            raise ValueError(f"not an id: {identity!r}")
        return self.root / kind / identity

    def sandbox(self, identity: str) -> SandboxPaths:
        """Return the directories of a sandbox. Raises ValueError as :meth:`place`."""
        return SandboxPaths(self.place("sandboxes", identity))

    def discard(self, directory: Path) -> None:
        """Delete a directory of the fleet, which is gone from its place at once.

        An interrupted deletion is finished by :meth:`empty_trash`. Raises OSError.
        """
        self.make(self.trash)
        # Unique: what was interrupted before may still be there.
        target = self.trash / f"{directory.name}-{os.urandom(8).hex()}"
        try:
            directory.rename(target)
        except FileNotFoundError:
            return
        remove_tree(target)

    def empty_trash(self) -> None:
        """Finish interrupted deletions. Raises OSError."""
        if self.trash.is_dir():
            for left in list(self.trash.iterdir()):
                remove_tree(left)

    def present(self, kind: str) -> set[str]:
        """Return the ids whose directories are there."""
        directory = self.root / kind
        if not directory.is_dir():
            return set()
        return {entry.name for entry in directory.iterdir() if _ID.fullmatch(entry.name)}


class SandboxPaths:
    """The directories and files of one sandbox."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        """All that is a sandbox's own and outlives its processes: what snapshots, forks and
        archives are made of. A sandbox with mounts of its own sees it as ``/``.
        """
        self.home = self.files / "home" / "daytona"
        """HOME and work directory."""
        self.layer = root / "layer"
        """For a sandbox with its own view of this machine's directories, see overlayfs: where it is
        made, and a directory that the kernel needs for it.
        """
        self.run = root / "run"
        """The service's own files: settings and signing key, written at each start."""
        self.settings = self.run / "toolbox.toml"
        self.signing_key = self.run / "signing-key"
        self.logs = root / "logs"
        self.log = self.logs / "service.log"
        self.output = self.logs / "output.log"
        """Standard output and error of the service, for what it says before it has a log."""

    def make(self) -> None:
        """Make the directories that aren't there, but the home. Raises OSError."""
        for directory in (self.root, self.run, self.logs):
            directory.mkdir(mode=0o700, exist_ok=True)
        # Inside it is `/`, which every user may enter; nobody can from outside.
        self.files.mkdir(mode=0o755, exist_ok=True)

    def make_home(self) -> None:
        """Make the home if it isn't there; its files are then. Raises OSError."""
        # Programs may have put a link in its place, which is right for their own view.
        if not os.path.lexists(self.home):
            make_inside(self.files, Path("/home/daytona"), 0o700)

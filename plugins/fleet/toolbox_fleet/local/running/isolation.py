"""The separation of sandboxes from each other and from this machine."""

from __future__ import annotations

import os
import pwd
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

import msgspec

from toolbox.trees.attributes import Owner
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.local.layout import SandboxPaths
from toolbox_fleet.local.places import link_inside
from toolbox_fleet.local.supplies import Mount


class Cell(msgspec.Struct, frozen=True):
    """A sandbox as its isolation sees it."""

    paths: SandboxPaths
    mounts: list[Mount] = msgspec.field(default_factory=list)
    block_network: bool = False
    uid: int = 0
    """The user of this sandbox alone, 0 if it has none."""


class Inside(NamedTuple):
    """The paths of a sandbox as its own programs see them."""

    home: Path
    settings: Path
    signing_key: Path
    log: Path


class NoIsolation:
    """Sandboxes run as the control plane's user and see all that it sees."""

    name = "none"
    own_processes = False
    """True if a sandbox's processes have a PID namespace of their own."""
    describes = "no isolation: sandboxes can read and end what the control plane's user can"

    @property
    def takes_callers(self) -> bool:
        """True if callers may show their token to a sandbox's service: its programs can't read it
        there, or can read it from the control plane as well.
        """
        return True

    @property
    def user(self) -> str:
        """The name of the user that sandboxes run as."""
        return name_of(os.geteuid())

    def assign(self, taken: Container[int]) -> int:
        """Return a uid for a new sandbox, which isn't one of those ``taken``; 0 if it needs none.

        Raises NoCapacity.
        """
        return 0

    def owner(self, uid: int) -> Owner | None:
        """Return the owner of the files of a sandbox with the uid ``uid``, None for several."""
        return None

    def inside(self, paths: SandboxPaths) -> Inside:
        """Return the paths of a sandbox as its own programs see them."""
        return Inside(paths.home, paths.settings, paths.signing_key, paths.log)

    def check_network(self) -> None:
        """Raise Unsupported if the network of a sandbox can't be blocked."""
        raise Unsupported('networkBlockAll takes [fleet.local] isolation = "bubblewrap"')

    def prepare(self, cell: Cell) -> None:
        """Make a sandbox's directories usable for it. Raises Unsupported, OSError."""
        if cell.block_network:
            self.check_network()
        cell.paths.make_home()
        for mount in cell.mounts:
            _link(cell.paths, mount)

    def own(self, path: Path | int, uid: int) -> None:
        """Let sandboxes use a file of theirs that was made anew, by path or descriptor.

        Raises OSError.
        """

    def wrapper(self, cell: Cell, info: int) -> list[str]:
        """Return the command that runs what follows in isolation. It writes about its processes
        to the descriptor ``info``, if they have a PID namespace of their own.
        """
        return []


def name_of(uid: int) -> str:
    """Return the name of a user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # Containers often run under a uid without a name.
        return str(uid)


def _link(paths: SandboxPaths, mount: Mount) -> None:
    """Link a directory into a sandbox that has no mounts of its own."""
    home = paths.home
    # Elsewhere it would appear in every sandbox, and in two with different volumes.
    if not mount.target.is_relative_to(home):
        raise Unsupported(f"without bubblewrap a volume can only be mounted below the home, {home}")
    link_inside(paths.files, Path("/", mount.target.relative_to(paths.files)), mount.source)

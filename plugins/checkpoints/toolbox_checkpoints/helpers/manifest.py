"""Knowledge of the files that a checkpoint was made of."""

from __future__ import annotations

import json
import os
from collections.abc import Set
from functools import cached_property
from pathlib import Path

from toolbox_checkpoints.helpers.failures import Damaged
from toolbox_checkpoints.helpers.places import join
from toolbox_checkpoints.helpers.places import split

Identity = tuple[int, int]
"""Inode and time of the last change in ns. No program can set the latter: as long as both are the
same, so are content and attributes.
"""

UNKNOWN: Identity = (0, 0)

MANIFEST = "manifest.json"


def identity(status: os.stat_result) -> Identity:
    """Return the identity of a file by its status."""
    return status.st_ino, status.st_ctime_ns


class Manifest:
    """The identities of all entries by directory and name, and the files with several names."""

    def __init__(self, device: int) -> None:
        self.device = device
        self.top: Identity = UNKNOWN
        self.directories: dict[str, dict[str, Identity]] = {}
        self.linked: dict[str, list[str]] = {}

    def knows(self, path: str, name: str, status: os.stat_result) -> bool:
        """Report whether the entry of a directory is as it was."""
        known = self.directories.get(path, {}).get(name)
        return (
            known is not None
            # From JSON it is a list.
            and known[0] == status.st_ino
            and known[1] == status.st_ctime_ns
            and status.st_dev == self.device
        )

    @cached_property
    def names(self) -> dict[str, set[str]]:
        """The names that each directory has at least: files, links and directories."""
        names = {path: set(known) for path, known in self.directories.items()}
        for path in filter(None, self.directories):
            above, name = split(path)
            names.setdefault(above, set()).add(name)
        return names

    def missing(self, path: str, found: Set[str]) -> list[str]:
        """Return the paths of what a directory of the checkpoint's tree doesn't have any more."""
        return [join(path, name) for name in self.names.get(path, set()) - found]

    def write(self, file: Path) -> None:
        """Write it to a new file. Raises OSError."""
        content = {
            "device": self.device,
            "directories": self.directories,
            "linked": self.linked,
        }
        with file.open("x", encoding="ascii") as opened:
            # ASCII: names may have bytes that are no UTF-8. Not by dump(), which is slow.
            opened.write(json.dumps(content))


def read_manifest(checkpoint: Path) -> Manifest:
    """Return what :meth:`Manifest.write` wrote beside the tree of a checkpoint. Raises Damaged.

    Not only does it save work: without the files with several names these would become several.
    """
    if not (checkpoint / "tree").is_dir():
        raise Damaged("the checkpoint is damaged: its tree is missing")
    try:
        content = json.loads((checkpoint / MANIFEST).read_bytes())
        manifest = Manifest(content["device"])
        manifest.directories = content["directories"]
        manifest.linked = content["linked"]
        is_sound = _is_sound(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_sound = False
    if not is_sound:
        raise Damaged(f"the checkpoint is damaged: its {MANIFEST} can't be read")
    return manifest


def _is_sound(manifest: Manifest) -> bool:
    return isinstance(manifest.device, int) and all(
        (
            *(
                len(known) == 2 and isinstance(known[0], int) and isinstance(known[1], int)
                for names in manifest.directories.values()
                for known in names.values()
            ),
            *(isinstance(names, list) for names in manifest.linked.values()),
        )
    )

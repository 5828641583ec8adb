"""Knowledge of the files that a checkpoint was made of."""

from __future__ import annotations

import json
import os
from pathlib import Path

Identity = tuple[int, int]
"""Inode and time of the last change in ns. No program can set the latter: as long as both are the
same, so are content and attributes.
"""

UNKNOWN: Identity = (0, 0)


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


def read_manifest(file: Path) -> Manifest:
    """Return what :meth:`Manifest.write` wrote, or nothing known if it can't be read."""
    try:
        content = json.loads(file.read_bytes())
        manifest = Manifest(content["device"])
        manifest.directories = content["directories"]
        manifest.linked = content["linked"]
    except (OSError, ValueError, KeyError, TypeError):
        # It saves work; without it all is compared, or copied.
        return Manifest(-1)
    return manifest

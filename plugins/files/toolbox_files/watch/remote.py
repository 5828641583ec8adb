"""Recognizing file systems whose changes this kernel doesn't see."""

from __future__ import annotations

from pathlib import Path

from toolbox.errors import Conflict
from toolbox.linux.mounts import types_of

_REMOTE = ("nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse", "virtiofs", "glusterfs", "lustre")
"""Prefixes of the types of file systems that others change without this kernel's knowledge."""


def refuse_remote(path: Path) -> None:
    """Raise Conflict if ``path`` is on a remote file system."""
    for kind in types_of(path):
        if kind.startswith(_REMOTE):
            raise Conflict(
                f"{kind} doesn't report changes made on other machines; watch anyway by force=true"
            )

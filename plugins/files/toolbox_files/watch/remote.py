"""Recognizing file systems whose changes this kernel doesn't see."""

from __future__ import annotations

import os
from pathlib import Path

from toolbox.errors import Conflict

_REMOTE = ("nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse", "virtiofs", "glusterfs", "lustre")
"""Prefixes of the types of file systems that others change without this kernel's knowledge."""


def refuse_remote(path: Path) -> None:
    """Raise Conflict if ``path`` is on a remote file system, as proc_pid_mountinfo(5) lists it."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return  # Without /proc the type can't be known.
    for line in mounts.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        fields, _, rest = line.partition(" - ")
        kind = rest.partition(" ")[0]
        if fields.split(" ")[2] == wanted and kind.startswith(_REMOTE):
            raise Conflict(
                f"{kind} doesn't report changes made on other machines; watch anyway by force=true"
            )

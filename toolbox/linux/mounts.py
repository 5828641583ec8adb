"""Mounts, as proc_pid_mountinfo(5) lists them."""

from __future__ import annotations

import os
from pathlib import Path


def types_of(path: Path) -> list[str]:
    """Return the types of the mounts with the file system of ``path``, without /proc none.

    Raises OSError.
    """
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return []
    types = []
    for line in mounts.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        fields, _, rest = line.partition(" - ")
        if fields.split(" ")[2] == wanted:
            types.append(rest.partition(" ")[0])
    return types

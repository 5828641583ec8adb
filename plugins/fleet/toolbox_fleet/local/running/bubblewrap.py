"""The command that runs a whole service by bwrap(1)."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterable
from collections.abc import Iterator

from toolbox_fleet.local.running.view import HOME
from toolbox_fleet.local.running.view import View
from toolbox_fleet.local.supplies import Mount

PROBE = 10.0
"""Seconds that the attempt to run bwrap may take."""

KEPT = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
"""Capabilities that root keeps, those of containers but MKNOD: with SYS_ADMIN it could take the
mounts away, with MKNOD or SYS_RAWIO read the disk itself.
"""

READ_ONLY = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
"""Paths of the new ``/proc`` by which root could change the kernel without a capability."""


def probe() -> str:
    """Return the reason why bwrap doesn't work here, "" if it does.

    Raises OSError, subprocess.SubprocessError.
    """
    command = ["bwrap", *_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    command += [*_capabilities(), "--", "true"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PROBE, cwd="/"
    )
    if not done.returncode:
        return ""
    line = (done.stderr.strip().splitlines() or ["it gives no reason"])[-1]
    return f"bwrap doesn't work here: {line}"


@functools.cache
def takes_descriptors() -> bool:
    """Report whether bwrap mounts a directory that is open, of any path. Runs it once.

    Raises OSError, subprocess.SubprocessError.
    """
    # By its help: distributions have added the option to older versions, for the same reason.
    done = subprocess.run(["bwrap", "--help"], check=False, capture_output=True, timeout=PROBE)
    return b"--bind-fd" in done.stdout


def wrapper(view: View, mounts: Iterable[Mount], block_network: bool, info: int) -> list[str]:
    """Return the command that runs what follows in a sandbox's own namespaces.

    bwrap writes the pid of the namespace's first process to the descriptor ``info``, as JSON. It
    has to inherit that, and those of ``mounts``, which it closes.
    """
    command = [*view.prefix(), "bwrap", *_namespaces(), "--info-fd", str(info)]
    if block_network:
        command += ["--unshare-net"]
    mounts = list(mounts)
    command += view.options([mount.target for mount in mounts])
    command += ["--proc", "/proc", "--dev", "/dev"]
    for name in READ_ONLY:
        command += ["--ro-bind-try", name, name]
    for mount in mounts:
        command += ["--bind-fd", str(mount.descriptor), str(view.place(mount.target))]
    return [*command, *_capabilities(), "--chdir", str(HOME), "--"]


def _namespaces() -> list[str]:
    return ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]


def _capabilities() -> Iterator[str]:
    if os.geteuid() == 0:  # Others have none, and get none.
        yield from ("--cap-drop", "ALL")
        for name in KEPT:
            yield from ("--cap-add", f"CAP_{name}")

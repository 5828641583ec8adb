"""The needs of a program that runs as another user: files of the service, streams, a directory."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from toolbox_process.engine.launcher import CREATE
from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.launcher import Program
from toolbox_process.launchers.identity import Identity
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.linux.acting import acting_as

SHARED_DIRECTORY = 0o711
"""Mode of directories with files for programs: a program can open a file in there by name, and only
the service adds or replaces files. It opens some of them itself, and a program that
could put a link in their place would read, with its rights, any file.
"""

TERMINAL = 0o620
"""Mode of a terminal (grantpt(3)): its user reads and writes, write(1) may write."""


def start_directory(identity: Identity, preferred: Path) -> Path:
    """Return the first of these that the user can enter: ``preferred``, its home, ``/``."""
    for directory in (preferred, identity.home):
        with suppress(OSError):
            if directory.is_dir() and identity.may_execute(directory):
                return directory
    return Path("/")


def check_program(identity: Identity, program: Program) -> None:
    """Raise the OSError with which the start of ``program`` would fail.

    The program that changes the user can't report that: the start itself succeeds.
    """
    name = program.arguments[0]
    found = shutil.which(name, path=program.environment.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if not program.cwd.resolve(strict=True).is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(program.cwd))
    for path in (Path(found), program.cwd):
        if not identity.may_execute(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def share_with(
    identity: Identity, program: Program, streams: Pipes, device: PtyDevice | None
) -> None:
    """Give the user what a program gets by descriptor: it may open that again by
    ``/dev/stdout`` or ``/proc/self/fd`` (proc(5)), for which the owner counts. Raises OSError.
    """
    if device is not None:
        os.fchown(device.slave, identity.uid, identity.gid)
        os.fchmod(device.slave, TERMINAL)
    for fd in {streams.stdin, streams.stdout, streams.stderr, *program.pass_fds}:
        if fd is not None and fd > 2:
            share(identity, fd)


def share(identity: Identity, path: Path | int) -> None:
    """Let the user use a file; enter a directory, but change nothing in it. Raises OSError."""
    if isinstance(path, Path) and path.is_dir():
        path.chmod(SHARED_DIRECTORY)
    else:
        os.chown(path, identity.uid, identity.gid)


def create(identity: Identity | None, path: Path) -> int:
    """Open a file for output as the user would. Raises OSError."""
    if identity is None:
        return os.open(path, CREATE, 0o666)
    # By the kernel's own checks: whatever links are on the way, nothing is opened that the user
    # couldn't have opened.
    with acting_as(identity.uid, identity.gid):
        return os.open(path, CREATE, 0o666)

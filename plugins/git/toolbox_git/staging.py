"""Directories in which clones grow until they are complete.

A clone that fails, is canceled or dies with the service must leave nothing that blocks the next
one. So it is made in a temporary directory and moved into place at the end. Each such directory
is locked while it is in use; the next clone to the same target removes those that aren't.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from toolbox.errors import Conflict

_PREFIX = ".toolbox-clone-"


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Provide a directory to clone into, which becomes ``target`` if the block succeeds.

    An empty directory at ``target`` is kept (it may be a mount point) and the clone is moved into
    it. Raises Conflict if anything else exists there.
    """
    target = target.resolve()
    inside = target.is_dir()
    if not inside and os.path.lexists(target):
        raise Conflict(f"{target.name} exists and is not a directory")
    created = [] if inside else _make_parents(target.parent)
    # Beside the target or in it: a rename works within one file system only.
    parent = target if inside else target.parent
    prefix = _PREFIX if inside else _PREFIX + _digest(target.name)
    directory = parent / (prefix + secrets.token_hex(8))
    try:
        _remove_abandoned(parent, prefix)
        if inside and os.listdir(target):  # noqa: PTH208
            raise Conflict(f"{target.name} is a directory that is not empty")
        directory.mkdir(0o700)
        with _locked(directory):
            clone = directory / "clone"
            yield clone
            _move(clone, target, inside)
    except BaseException as error:
        if isinstance(error, OSError) and str(error.filename) == str(directory):
            error.filename = str(target)  # The client doesn't know the temporary directory.
        for made in (directory, *created):
            with contextlib.suppress(OSError):
                made.rmdir()
        raise


def _digest(name: str) -> str:
    """Return the digest that ``toolbox.atomic.staging.PRIVATE_NAME`` expects, so that watches
    don't report the directory.
    """
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _make_parents(path: Path) -> list[Path]:
    """Create ``path`` and its missing parents; return those created, deepest first."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for entry in parent.iterdir():
        if entry.name.startswith(prefix):
            # OSError: another clone holds its lock, so it is in use.
            with contextlib.suppress(OSError), _locked(entry):
                pass


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[Path]:
    """Hold the lock of ``directory``, then remove it. Raises OSError if the lock is taken."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The kernel releases a flock(2) with the process, however that ends.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(descriptor)


def _move(clone: Path, target: Path, inside: bool) -> None:
    if not inside:
        if os.path.lexists(target):
            raise Conflict(f"{target.name} was created concurrently")
        clone.rename(target)
        return
    # .git comes last: until then the target is just a directory of files, not a repository.
    for entry in sorted(clone.iterdir(), key=lambda path: path.name == ".git"):
        entry.rename(target / entry.name)

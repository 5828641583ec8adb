"""Where a clone grows until it is complete.

A clone that fails, is cancelled or dies with the service must leave nothing that is in the way of
the next. So it is made in a directory of its own and moved into place at the end; each such
directory is locked while somebody works in it, and those that nobody has locked are removed by
the next clone to the same place.
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
    """A directory to clone into, which becomes ``target`` if the block succeeds.

    If ``target`` is an empty directory it stays the same one (it may be a mount point), and what
    was cloned is moved into it. Raises Conflict if it is anything else that exists.
    """
    target = target.resolve()
    inside = target.is_dir()
    if not inside and os.path.lexists(target):
        raise Conflict(f"{target.name} exists and is no directory")
    made = [] if inside else _make_parents(target.parent)
    place = target if inside else target.parent
    prefix = _PREFIX if inside else _PREFIX + _digest(target.name)
    directory = place / (prefix + secrets.token_hex(8))
    try:
        _remove_abandoned(place, prefix)
        if inside and os.listdir(target):  # noqa: PTH208
            raise Conflict(f"{target.name} is a directory that is not empty")
        directory.mkdir(0o700)
        with _locked(directory):
            clone = directory / "clone"
            yield clone
            _move(clone, target, inside)
    except BaseException as error:
        if isinstance(error, OSError) and str(error.filename) == str(directory):
            error.filename = str(target)  # Nobody is told of the other.
        for each in (directory, *made):
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _digest(name: str) -> str:
    """As plain as ``toolbox.staging.PRIVATE_NAME`` has it, so that a watch tells nothing of it."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _make_parents(path: Path) -> list[Path]:
    """Make ``path`` and what is missing above it; what was made, deepest first."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_abandoned(place: Path, prefix: str) -> None:
    for each in place.iterdir():
        if each.name.startswith(prefix):
            with contextlib.suppress(OSError), _locked(each):
                pass


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[Path]:
    """Hold the lock of ``directory`` and remove it at the end. Raises OSError if it is held."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
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
            raise Conflict(f"{target.name} has been made meanwhile")
        clone.rename(target)
        return
    # .git comes last: until then this is no repository, just files.
    for each in sorted(clone.iterdir(), key=lambda path: path.name == ".git"):
        each.rename(target / each.name)

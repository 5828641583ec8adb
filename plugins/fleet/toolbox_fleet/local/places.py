"""Directories in the trees of sandboxes, made without following what programs have put there.

A link in their place could lead to the files of this machine. Nothing in the sandbox runs
meanwhile, so what was made stays.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_inside(tree: Path, target: Path, mode: int = 0o755, *, replace: bool = False) -> None:
    """Make the absolute path ``target`` of a sandbox in its ``tree``, and what is above it.

    What is no directory is given another name with ``replace``, else it is an OSError.
    """
    with _parent(tree, target, replace) as directory:
        os.close(_enter(directory, target.name, mode, replace))


def link_inside(tree: Path, target: Path, leads_to: Path) -> None:
    """Make a link at the absolute path ``target`` of a sandbox in its ``tree``, and what is above.

    It replaces another link. Anything else there, or a link above it, is an OSError.
    """
    with _parent(tree, target) as directory:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISLNK(os.stat(target.name, dir_fd=directory, follow_symlinks=False).st_mode):
                os.unlink(target.name, dir_fd=directory)
        os.symlink(leads_to, target.name, dir_fd=directory)


@contextlib.contextmanager
def _parent(tree: Path, target: Path, replace: bool = False) -> Iterator[int]:
    """Open the directory above ``target`` in a ``tree``. What isn't there is made.

    An OSError names ``target`` if something else is in its way, also within the block.
    """
    directory = os.open(tree, _DIRECTORY)
    try:
        for name in target.parts[1:-1]:
            below = _enter(directory, name, 0o755, replace)
            os.close(directory)
            directory = below
        yield directory
    except (NotADirectoryError, FileExistsError) as error:
        raise OSError(f"{target}: {error.strerror}") from error
    finally:
        os.close(directory)


def _enter(directory: int, name: str, mode: int, replace: bool) -> int:
    if replace and _is_no_directory(directory, name):
        # Not removed: it may be all that somebody has.
        os.rename(name, f"{name}~{os.urandom(4).hex()}", src_dir_fd=directory, dst_dir_fd=directory)
    try:
        os.mkdir(name, mode, dir_fd=directory)
    except FileExistsError:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    made = os.open(name, _DIRECTORY, dir_fd=directory)
    # The umask may have taken some of it away.
    os.fchmod(made, mode)
    status = os.fstat(directory)
    if os.geteuid() == 0:
        os.fchown(made, status.st_uid, status.st_gid)
    return made


def _is_no_directory(directory: int, name: str) -> bool:
    try:
        os.close(os.open(name, _DIRECTORY, dir_fd=directory))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def remove_empty(tree: Path, name: str) -> None:
    """Remove a directory at the top of a tree, unless something is in it."""
    with contextlib.suppress(OSError):
        (tree / name).rmdir()

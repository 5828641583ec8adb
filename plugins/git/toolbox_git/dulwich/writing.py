"""Writes to a working tree and its index: never through a symbolic link, files atomically."""

# ruff: noqa: PTH102, PTH105, PTH106, PTH108, PTH120, PTH123, PTH211
# Names are bytes here, which pathlib doesn't accept.

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from dulwich.index import cleanup_mode
from dulwich.index import index_entry_from_stat
from dulwich.index import validate_path
from dulwich.objects import S_ISGITLINK

from toolbox.errors import BadRequest
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.errors import DirtyWorktree
from toolbox_git.names import to_text


def put(tree: Worktree, path: bytes, mode: int, sha: bytes) -> None:
    """Write a stored file to the working tree and the index.

    Raises DirtyWorktree if a directory at ``path`` isn't empty, BadRequest for a path that leads
    out of the working tree.
    """
    if not validate_path(path, tree.validate):
        raise BadRequest(f"{to_text(path)} is not allowed in a working tree")
    full = tree.top + b"/" + path
    _make_parents(tree, path)
    if S_ISGITLINK(mode):
        Path(os.fsdecode(full)).mkdir(exist_ok=True)
    else:
        _write(tree, path, mode, sha)
    entry_mode = mode if S_ISGITLINK(mode) else cleanup_mode(mode)
    tree.record(path, index_entry_from_stat(os.lstat(full), sha, entry_mode))


def _write(tree: Worktree, path: bytes, mode: int, sha: bytes) -> None:
    """Write a file or link under a temporary name, then rename it."""
    full = tree.top + b"/" + path
    data = tree.content(path, mode, sha)
    temporary = os.path.dirname(full) + b"/.toolbox-%d.tmp" % os.getpid()
    try:
        if stat.S_ISLNK(mode):
            os.symlink(data, temporary)
        else:
            rights = 0o777 if mode & 0o100 else 0o666
            # O_EXCL doesn't follow a symbolic link that someone has put there (open(2)).
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(temporary, flags, rights), "wb") as file:
                file.write(data)
        _move(temporary, full, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _move(temporary: bytes, full: bytes, path: bytes) -> None:
    try:
        os.replace(temporary, full)
    except IsADirectoryError:
        # Git keeps no empty directories, so an empty one loses nothing.
        try:
            os.rmdir(full)
        except OSError:
            raise DirtyWorktree(f"{to_text(path)} is a directory that is not empty") from None
        os.replace(temporary, full)


def _make_parents(tree: Worktree, path: bytes) -> None:
    """Create the directories above ``path``, replacing links and files.

    The caller has checked that these hold no uncommitted changes.
    """
    slash = path.find(b"/")
    while slash > 0:
        parent = tree.top + b"/" + path[:slash]
        try:
            os.mkdir(parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(parent).st_mode):
                os.unlink(parent)
                os.mkdir(parent)
        slash = path.find(b"/", slash + 1)


def remove(tree: Worktree, path: bytes) -> None:
    """Remove a file from the working tree and the index, and directories left empty."""
    if path in tree.index:
        del tree.index[path]
    if not leads_inside(tree, path):
        return
    full = tree.top + b"/" + path
    try:
        status = os.lstat(full)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(full)  # A submodule, which stays unless it is empty.
        else:
            os.unlink(full)
        parent = os.path.dirname(path)
        while parent:
            os.rmdir(tree.top + b"/" + parent)
            parent = os.path.dirname(parent)
    except OSError:
        return


def leads_inside(tree: Worktree, path: bytes) -> bool:
    """Report whether everything above ``path`` is a directory, not a link to elsewhere."""
    slash = path.find(b"/")
    while slash > 0:
        status = tree.lstat(path[:slash])
        if status is None or not stat.S_ISDIR(status.st_mode):
            return False
        slash = path.find(b"/", slash + 1)
    return True

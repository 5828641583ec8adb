"""Lookup of the repository that a request names."""

from __future__ import annotations

from pathlib import Path

import msgspec

from toolbox.errors import Forbidden
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.names import to_path


class Repository(msgspec.Struct, frozen=True):
    """A repository: its top directory and its ``.git``, which may be a file that names another."""

    path: Path
    git_dir: Path

    @property
    def bare(self) -> bool:
        """True if the repository has no working tree, just the contents of a ``.git``."""
        return self.path == self.git_dir


def find(text: str, base: Path) -> Repository:
    """Return the repository at exactly this path, not one that encloses it.

    Raises RepositoryNotFound, Forbidden, BadRequest.
    """
    path = to_path(text, base)
    try:
        inside = path / ".git"
        # A file in linked working trees and in submodules (gitrepository-layout(5)).
        if inside.is_file() or _is_git_dir(inside):
            return Repository(path, inside)
        if _is_git_dir(path):
            return Repository(path, path)
    except PermissionError:
        raise Forbidden(f"{text}: permission denied") from None
    raise RepositoryNotFound(f"no git repository at {text}")


def _is_git_dir(path: Path) -> bool:
    # HEAD was a symbolic link in old repositories, which dangles before the first commit.
    head = path / "HEAD"
    return (head.is_file() or head.is_symlink()) and (path / "objects").is_dir()

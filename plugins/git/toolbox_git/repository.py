"""Finding the repository that a request means."""

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
        """Whether it is a directory like ``.git`` itself."""
        return self.path == self.git_dir


def find(text: str, base: Path) -> Repository:
    """The repository at exactly this path: one that encloses it is not meant.

    Raises RepositoryNotFound, Forbidden, BadRequest.
    """
    path = to_path(text, base)
    try:
        inside = path / ".git"
        if inside.is_file() or _is_git_dir(inside):
            return Repository(path, inside)
        if _is_git_dir(path):
            return Repository(path, path)
    except PermissionError:
        raise Forbidden(f"{text}: permission denied") from None
    raise RepositoryNotFound(f"no git repository at {text}")


def _is_git_dir(path: Path) -> bool:
    head = path / "HEAD"
    return (head.is_file() or head.is_symlink()) and (path / "objects").is_dir()

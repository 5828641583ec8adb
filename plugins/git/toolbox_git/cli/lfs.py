"""Transfers of Git LFS objects by its own program, in place of its hooks, which are not run.

Git itself runs the LFS filters. At checkout they have no credentials, because a filter of the
repository must not receive a request's: the objects of a commit are fetched beforehand.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from toolbox_git.cli.worktree import Worktree
from toolbox_git.environment import clean_environment
from toolbox_git.errors import FilterFailed

_PROGRAM = "git-lfs"
_ATTRIBUTE = b"filter=lfs"


def fetch(tree: Worktree, remote: str, commit: str, **options: Any) -> None:
    """Fetch the objects that the files of ``commit`` point to; ``options`` as of :class:`Call`.

    Does nothing where LFS doesn't replace pointers at checkout. Raises as a fetch, and
    FilterFailed.
    """
    if not _smudges(tree) or not _is_used_by(tree, commit):
        return
    output = tree.git_unchecked("fetch", remote, commit, program=_PROGRAM, **options)
    # Unless the filter is required, git checks out the pointers instead.
    if output.status and tree.config("filter.lfs.required") == "true":
        raise output.error()


def push(tree: Worktree, remote: str, branch: str, **options: Any) -> None:
    """Upload the objects that the commits of ``branch`` point to and the remote lacks.

    Raises as a push, and FilterFailed if git-lfs is not installed.
    """
    reference = f"refs/heads/{branch}"
    commit = tree.resolve(reference)
    # Pushed even where LFS isn't set up: objects may stem from a time when it was.
    if not _has_objects(tree) and not (_smudges(tree) and _is_used_by(tree, commit)):
        return
    if shutil.which(_PROGRAM, path=clean_environment().get("PATH")) is None:
        raise FilterFailed(
            "git-lfs is not installed; its files can't be uploaded, so nothing was pushed"
        )
    # The input of a pre-push hook (githooks(5)): zeros stand for a branch the remote lacks.
    update = f"{reference} {commit} {reference} {'0' * len(commit)}\n"
    stdin = os.fsencode(update)
    tree.git("pre-push", remote, options["url"], program=_PROGRAM, stdin=stdin, **options)


def _smudges(tree: Worktree) -> bool:
    """Report whether git runs the LFS filter at checkout."""
    if clean_environment().get("GIT_LFS_SKIP_SMUDGE", "") not in ("", "0", "false"):
        return False
    command = tree.config("filter.lfs.process") or tree.config("filter.lfs.smudge")
    return _PROGRAM in command and "--skip" not in command


def _is_used_by(tree: Worktree, commit: str) -> bool:
    """Report whether attributes in ``commit`` or in the repository select the LFS filter."""
    attributes = tree.common_dir() / "info/attributes"
    if attributes.is_file() and _ATTRIBUTE in attributes.read_bytes():
        return True
    pathspec = ":(glob)**/.gitattributes"
    search: list[bytes | str] = ["grep", "-q", "-F", "-e", _ATTRIBUTE, commit, "--", pathspec]
    return tree.git_unchecked(*search, env={"GIT_LITERAL_PATHSPECS": "0"}).status == 0


def _has_objects(tree: Worktree) -> bool:
    return (tree.common_dir() / "lfs/objects").is_dir() or bool(tree.config("lfs.storage"))

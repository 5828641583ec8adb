"""Git LFS by its own program: what its hooks would do, which are not run.

Its filters are git's to run. But by the time a file is checked out a call's credentials are gone,
as a filter of the repository must not have them: what a commit needs is fetched beforehand.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from toolbox_git.cli.worktree import Worktree
from toolbox_git.errors import FilterFailed
from toolbox_git.inheritance import clean_environment

_PROGRAM = "git-lfs"
_ATTRIBUTE = b"filter=lfs"


def fetch(tree: Worktree, remote: str, commit: str, **options: Any) -> None:
    """Get what the files of ``commit`` stand for; ``options`` as of :class:`Call`.

    Raises as a fetch, and FilterFailed. Nothing to do where pointers stay as they are.
    """
    if not _smudges(tree) or not _is_used_by(tree, commit):
        return
    output = tree.try_git("fetch", remote, commit, program=_PROGRAM, **options)
    if output.status and tree.config("filter.lfs.required") == "true":
        raise output.error()


def push(tree: Worktree, remote: str, branch: str, **options: Any) -> None:
    """Upload what the commits of ``branch`` need that the remote doesn't have.

    Raises as a push, and FilterFailed if it can't be done.
    """
    reference = f"refs/heads/{branch}"
    commit = tree.resolve(reference)
    if not _has_objects(tree) and not (_smudges(tree) and _is_used_by(tree, commit)):
        return
    if shutil.which(_PROGRAM, path=clean_environment().get("PATH")) is None:
        raise FilterFailed("git-lfs is not installed: its files can't be uploaded, nothing was")
    update = f"{reference} {commit} {reference} {'0' * len(commit)}\n"
    stdin = os.fsencode(update)
    tree.git("pre-push", remote, options["url"], program=_PROGRAM, stdin=stdin, **options)


def _smudges(tree: Worktree) -> bool:
    """Whether git runs it when files are checked out."""
    if clean_environment().get("GIT_LFS_SKIP_SMUDGE", "") not in ("", "0", "false"):
        return False
    command = tree.config("filter.lfs.process") or tree.config("filter.lfs.smudge")
    return _PROGRAM in command and "--skip" not in command


def _is_used_by(tree: Worktree, commit: str) -> bool:
    """Whether files of ``commit`` have the filter by its own attributes or the repository's."""
    attributes = tree.common_dir() / "info/attributes"
    if attributes.is_file() and _ATTRIBUTE in attributes.read_bytes():
        return True
    found = tree.try_git(
        *("grep", "-q", "-F", "-e", _ATTRIBUTE, commit, "--", ":(glob)**/.gitattributes"),
        env={"GIT_LITERAL_PATHSPECS": "0"},
    )
    return found.status == 0


def _has_objects(tree: Worktree) -> bool:
    return (tree.common_dir() / "lfs/objects").is_dir() or bool(tree.config("lfs.storage"))

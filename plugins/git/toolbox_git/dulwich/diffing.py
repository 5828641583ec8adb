"""Differences between files, in the form of git."""

from __future__ import annotations

from io import BytesIO

from dulwich.diff import diff_index_to_tree
from dulwich.diff import diff_working_tree_to_index
from dulwich.diff import diff_working_tree_to_tree
from dulwich.objects import ObjectID
from dulwich.patch import write_tree_diff
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox_git.dulwich.history import commit_info
from toolbox_git.dulwich.revisions import commit_at
from toolbox_git.dulwich.revisions import head_of
from toolbox_git.dulwich.revisions import resolve
from toolbox_git.models import Diff
from toolbox_git.models import DiffQuery


def diff(repo: Repo, query: DiffQuery) -> Diff:
    """Return the differences. Raises as the backend's method."""
    if query.of == "commit":
        return _of_commit(repo, resolve(repo, query.revision or "HEAD"))
    if repo.bare:
        raise BadRequest("a bare repository has no working tree")
    output = BytesIO()
    other = ObjectID(resolve(repo, query.revision)) if query.revision else None
    if query.of == "index":
        _of_index(repo, output, other)
    elif other is None:
        diff_working_tree_to_index(repo, output)
    else:
        diff_working_tree_to_tree(repo, output, other)
    return Diff(diff=_text(output))


def _of_index(repo: Repo, output: BytesIO, other: ObjectID | None) -> None:
    if other is None and head_of(repo) is None:
        # Before the first commit everything is new.
        tree = repo.open_index().commit(repo.object_store)
        write_tree_diff(output, repo.object_store, None, tree)
    else:
        diff_index_to_tree(repo, output, other)


def _of_commit(repo: Repo, sha: bytes) -> Diff:
    commit = commit_at(repo, sha)
    # Those of the repository: a shallow clone ends at commits that name parents.
    parents = repo.get_parents(ObjectID(sha), commit)
    before = commit_at(repo, parents[0]).tree if parents else None
    output = BytesIO()
    write_tree_diff(output, repo.object_store, before, commit.tree)
    return Diff(diff=_text(output), commit=commit_info(sha, commit.as_raw_string()))


def _text(output: BytesIO) -> str:
    return output.getvalue().decode("utf-8", "replace")

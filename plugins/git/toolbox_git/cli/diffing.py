"""Differences between files, as git shows them."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox_git.cli.parsing import LOG
from toolbox_git.cli.parsing import parse_log
from toolbox_git.cli.worktree import Worktree
from toolbox_git.models import Diff
from toolbox_git.models import DiffQuery

# Neither programs that the configuration names nor a form that it chose.
_OPTIONS = (
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--ignore-submodules=dirty",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_SHOW = ("show", "--format=", "--no-show-signature", "-m", "--first-parent", *_OPTIONS)


def diff(tree: Worktree, query: DiffQuery) -> Diff:
    """Return the differences. Raises as the backend's method."""
    if query.of == "commit":
        commit = tree.resolve(query.revision or "HEAD")
        (info,) = parse_log(tree.git(*LOG, "-1", commit, "--"))
        return Diff(diff=_text(tree.git(*_SHOW, commit, "--")), commit=info)
    if tree.repository.bare:
        raise BadRequest("a bare repository has no working tree")
    others = [tree.resolve(query.revision)] if query.revision else []
    cached = ["--cached"] if query.of == "index" else []
    return Diff(diff=_text(tree.git("diff", *cached, *_OPTIONS, *others, "--")))


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")

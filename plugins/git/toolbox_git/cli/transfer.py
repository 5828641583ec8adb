"""Clone, fetch, pull and push with the git binary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox_git import programs
from toolbox_git.backend import IsDisconnected
from toolbox_git.cli import lfs
from toolbox_git.cli.call import NOWHERE
from toolbox_git.cli.call import Call
from toolbox_git.cli.running import Runner
from toolbox_git.cli.worktree import Worktree
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.models import CloneRequest
from toolbox_git.models import PullRequest
from toolbox_git.models import PushRequest
from toolbox_git.names import check_clone
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.repository import Repository
from toolbox_git.urls import Credentials
from toolbox_git.urls import check_url
from toolbox_git.urls import scheme_of
from toolbox_git.urls import split_credentials

_FULL = (40, 64)
"""Digits of a complete hash, SHA-1 or SHA-256."""


def _clone_command(body: CloneRequest) -> list[bytes | str]:
    command: list[bytes | str] = ["clone", "-q", "--single-branch", "--no-recurse-submodules"]
    command += ["--depth", str(body.depth)] if body.depth else []
    command += ["--branch", body.branch] if body.branch else []
    command += ["--no-checkout"] if body.commit_id else []
    return command


class Transfer:
    """Operations that use a remote. Methods raise as those of GitBackend."""

    def __init__(self, runner: Runner, timeout: float, stall_timeout: float) -> None:
        self._runner = runner
        self._timeout = timeout
        self._patience = stall_timeout
        # Git has no timeout of its own, only curl's for transfers below a speed, in whole seconds.
        self._stall = {
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": str(max(1, round(stall_timeout))),
        }

    def clone(
        self,
        body: CloneRequest,
        url: str,
        target: Path,
        *,
        base: Path,
        disconnected: IsDisconnected,
    ) -> None:
        """Clone ``url``, which is the complete URL of ``body``, into the new ``target``."""
        check_clone(body)
        url, credentials = split_credentials(url, body.username, body.password)
        config = dict(self._stall)
        if body.insecure_skip_tls:
            config["http.sslVerify"] = "false"
        if body.depth and scheme_of(url) == "file" and "://" not in url:
            url = f"file://{url}"  # Git ignores the depth for a path, whose objects it links.
        # The host that is really contacted decides who gets the credentials.
        effective = self._rewritten(url, base)
        access = self._options(effective, credentials, disconnected, config)
        command = [*_clone_command(body), "--", to_bytes(url), to_bytes(str(target))]
        self._runner.run(command, Call(cwd=base, **access))
        clone = Worktree(self._runner, Repository(target, target / ".git"), self._timeout)
        # Git clones an empty repository with a mere warning.
        if not clone.commit_of("HEAD"):
            raise RepositoryNotFound("the remote repository is empty")
        if body.commit_id:
            self._check_out(clone, body, body.commit_id, access)
        # Now rather than at the first status: the clone is about to be moved, which doesn't change
        # its files, but git would have to look at each to know.
        clone.git_unchecked("update-index", "-q", "--refresh")

    def _check_out(
        self, clone: Worktree, body: CloneRequest, commit: str, access: dict[str, Any]
    ) -> None:
        if not clone.commit_of(commit):
            # A remote can be asked for a complete hash only.
            if len(commit) not in _FULL:
                raise BranchNotFound(f"no commit {commit}")
            fetch = ["fetch", "-q", "--no-tags", programs.FETCH]
            fetch += [f"--depth={body.depth}"] if body.depth else []
            clone.git(*fetch, "origin", commit, **access)
        found = clone.resolve(commit)
        lfs.fetch(clone, "origin", found, **access)
        # Without the credentials: a checkout runs the repository's filters.
        clone.git("checkout", "-q", "--detach", found, "--", disconnected=access["disconnected"])

    def pull(self, tree: Worktree, body: PullRequest, disconnected: IsDisconnected) -> None:
        """Fetch the branch and fast-forward to it."""
        current = tree.current()
        tracked = tree.config(f"branch.{current}.merge") if current else ""
        remote = body.remote or tree.config(f"branch.{current}.remote") or "origin"
        branch = body.branch or tracked.removeprefix("refs/heads/") or current
        if not branch:
            raise BranchNotFound("HEAD is detached; specify the branch to pull")
        if not is_branch_name(branch):
            raise BadRequest(f"{branch!r} is not a valid branch name")
        options = self._remote(tree, remote, body.username, body.password, disconnected)
        self._fetch(tree, remote, options, f"refs/heads/{branch}")
        fetched = tree.resolve("FETCH_HEAD")
        lfs.fetch(tree, remote, fetched, **options)
        # Not "git pull", which would run the filters with the credentials in its environment.
        tree.git("merge", "-q", "--ff-only", "--no-verify-signatures", fetched)

    def fetch(
        self, tree: Worktree, remote: str, credentials: Credentials, disconnected: IsDisconnected
    ) -> None:
        """Fetch all branches of ``remote``."""
        username, password = credentials.username, credentials.password
        self._fetch(tree, remote, self._remote(tree, remote, username, password, disconnected))

    def _fetch(self, tree: Worktree, remote: str, options: dict[str, Any], *refs: str) -> None:
        command = ["fetch", "-q", "--no-recurse-submodules", "--no-auto-gc", programs.FETCH]
        tree.git(*command, "--", to_bytes(remote), *map(to_bytes, refs), **options)

    def push(self, tree: Worktree, body: PushRequest, disconnected: IsDisconnected) -> None:
        """Push the branch to the remote's of the same name."""
        branch = body.branch or tree.current()
        if not branch:
            raise BranchNotFound("HEAD is detached; specify the branch to push")
        if not is_branch_name(branch) or not tree.commit_of(f"refs/heads/{branch}"):
            raise BranchNotFound(f"no branch {branch!r}")
        remote = body.remote or "origin"
        options = self._remote(tree, remote, body.username, body.password, disconnected, push=True)
        # First, so that the remote never has a commit without the objects its files point to.
        lfs.push(tree, remote, branch, **options)
        reference = to_bytes(f"refs/heads/{branch}")
        command = ["push", "--porcelain", "--no-verify", "--recurse-submodules=no", programs.PUSH]
        command += ["--set-upstream"] if body.set_upstream else []
        tree.git(*command, "--", to_bytes(remote), reference + b":" + reference, **options)

    def _remote(
        self,
        tree: Worktree,
        remote: str,
        username: str | None,
        password: str | None,
        disconnected: IsDisconnected,
        *,
        push: bool = False,
    ) -> dict[str, Any]:
        """Return the options of a :class:`Call` that uses ``remote``. Raises NotFound."""
        if remote not in (known.name for known in tree.remotes()):
            raise NotFound(f"no remote {remote!r}")
        options = ["--push"] if push else []
        url = tree.git("remote", "get-url", *options, "--", to_bytes(remote)).decode().strip()
        check_url(url)
        _, credentials = split_credentials(url, username, password)
        return self._options(url, credentials, disconnected, self._stall)

    def _options(
        self,
        url: str,
        credentials: Credentials,
        disconnected: IsDisconnected,
        config: dict[str, str],
    ) -> dict[str, Any]:
        return {
            "url": url,
            "credentials": credentials,
            "config": config,
            "timeout": self._timeout,
            "patience": self._patience,
            "disconnected": disconnected,
        }

    def _rewritten(self, url: str, base: Path) -> str:
        """Return ``url`` rewritten by ``url.<base>.insteadOf`` of the user's configuration."""
        call = Call(cwd=base, env={"GIT_DIR": NOWHERE})
        return self._runner.run(["ls-remote", "--get-url", to_bytes(url)], call).decode().strip()

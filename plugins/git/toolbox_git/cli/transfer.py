"""Clone, fetch, pull and push by the git binary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox_git import programs
from toolbox_git.backend import Gone
from toolbox_git.cli import lfs
from toolbox_git.cli.running import NOWHERE
from toolbox_git.cli.running import Call
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
from toolbox_git.urls import complete_url
from toolbox_git.urls import scheme_of
from toolbox_git.urls import split_credentials

_FULL = (40, 64)


class Transfer:
    """What talks to remotes. Methods raise as those of GitBackend."""

    def __init__(self, runner: Runner, timeout: float, stall_timeout: float) -> None:
        self._runner = runner
        self._timeout = timeout
        self._patience = stall_timeout
        self._stall = {
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": str(max(1, round(stall_timeout))),
        }

    def clone(self, body: CloneRequest, target: Path, base: Path, gone: Gone) -> None:
        """Clone into ``target``, which must not exist."""
        check_clone(body)
        url, credentials = split_credentials(
            complete_url(body.url, base), body.username, body.password
        )
        config = dict(self._stall)
        if body.insecure_skip_tls:
            config["http.sslVerify"] = "false"
        if body.depth and scheme_of(url) == "file" and "://" not in url:
            url = f"file://{url}"  # git ignores a depth for what it can link.
        options = ["--depth", str(body.depth)] if body.depth else []
        options += ["--branch", body.branch] if body.branch else []
        options += ["--no-checkout"] if body.commit_id else []
        effective = self._rewritten(url, base)
        access = self._options(effective, credentials, gone, config)
        command = ["clone", "-q", "--single-branch", "--no-recurse-submodules", *options]
        places = [to_bytes(url), to_bytes(str(target))]
        self._runner.run([*command, "--", *places], Call(cwd=base, **access))
        made = Worktree(self._runner, Repository(target, target / ".git"), self._timeout)
        if not made.commit_of("HEAD"):
            raise RepositoryNotFound("the remote repository is empty")
        if body.commit_id:
            self._check_out(made, body, body.commit_id, access)
        # Files that are moved are not changed, but git would have to look.
        made.try_git("update-index", "-q", "--refresh")

    def _check_out(
        self, made: Worktree, body: CloneRequest, commit: str, access: dict[str, Any]
    ) -> None:
        if not made.commit_of(commit):
            if len(commit) not in _FULL:
                raise BranchNotFound(f"no commit {commit}")
            depth = [f"--depth={body.depth}"] if body.depth else []
            made.git("fetch", "-q", "--no-tags", programs.FETCH, *depth, "origin", commit, **access)
        found = made.resolve(commit)
        lfs.fetch(made, "origin", found, **access)
        made.git("checkout", "-q", "--detach", found, "--", gone=access["gone"])

    def pull(self, tree: Worktree, body: PullRequest, gone: Gone) -> None:
        """Fetch the branch and fast-forward to it."""
        current = tree.current()
        tracked = tree.config(f"branch.{current}.merge") if current else ""
        remote = body.remote or tree.config(f"branch.{current}.remote") or "origin"
        branch = body.branch or tracked.removeprefix("refs/heads/") or current
        if not branch:
            raise BranchNotFound("HEAD is detached: name the branch to pull")
        if not is_branch_name(branch):
            raise BadRequest(f"{branch!r} is not a valid branch name")
        options = self._remote(tree, remote, body.username, body.password, gone)
        self._fetch(tree, remote, options, f"refs/heads/{branch}")
        fetched = tree.resolve("FETCH_HEAD")
        lfs.fetch(tree, remote, fetched, **options)
        tree.git("merge", "-q", "--ff-only", "--no-verify-signatures", fetched)

    def fetch(self, tree: Worktree, remote: str, credentials: Credentials, gone: Gone) -> None:
        """Fetch all branches of ``remote``."""
        username, password = credentials.username, credentials.password
        self._fetch(tree, remote, self._remote(tree, remote, username, password, gone))

    def _fetch(self, tree: Worktree, remote: str, options: dict[str, Any], *what: str) -> None:
        tree.git(
            *("fetch", "-q", "--no-recurse-submodules", "--no-auto-gc", programs.FETCH, "--"),
            *(to_bytes(remote), *map(to_bytes, what)),
            **options,
        )

    def push(self, tree: Worktree, body: PushRequest, gone: Gone) -> None:
        """Push the branch to the one of the same name."""
        branch = body.branch or tree.current()
        if not branch:
            raise BranchNotFound("HEAD is detached: name the branch to push")
        if not is_branch_name(branch) or not tree.commit_of(f"refs/heads/{branch}"):
            raise BranchNotFound(f"no branch {branch!r}")
        remote = body.remote or "origin"
        options = self._remote(tree, remote, body.username, body.password, gone, "--push")
        # First: a commit must not be there without what its files stand for.
        lfs.push(tree, remote, branch, **options)
        reference = to_bytes(f"refs/heads/{branch}")
        tree.git(
            *("push", "--porcelain", "--no-verify", "--recurse-submodules=no", programs.PUSH),
            *(["--set-upstream"] if body.set_upstream else []),
            *("--", to_bytes(remote), reference + b":" + reference),
            **options,
        )

    def _remote(
        self,
        tree: Worktree,
        remote: str,
        username: str | None,
        password: str | None,
        gone: Gone,
        *which: str,
    ) -> dict[str, Any]:
        """How a remote is spoken to: options as of :class:`Call`. Raises NotFound."""
        if remote not in (each.name for each in tree.remotes()):
            raise NotFound(f"no remote {remote!r}")
        url = tree.git("remote", "get-url", *which, "--", to_bytes(remote)).decode().strip()
        check_url(url)
        _, credentials = split_credentials(url, username, password)
        return self._options(url, credentials, gone, self._stall)

    def _options(
        self, url: str, credentials: Credentials, gone: Gone, config: dict[str, str]
    ) -> dict[str, Any]:
        return {
            "url": url,
            "credentials": credentials,
            "config": config,
            "timeout": self._timeout,
            "patience": self._patience,
            "gone": gone,
        }

    def _rewritten(self, url: str, base: Path) -> str:
        """``url`` as ``url.<base>.insteadOf`` of the user's configuration has it."""
        call = Call(cwd=base, env={"GIT_DIR": NOWHERE})
        return self._runner.run(["ls-remote", "--get-url", to_bytes(url)], call).decode().strip()

"""The backend: finds the repository of each operation and holds its lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_git import models
from toolbox_git.backend import IsDisconnected
from toolbox_git.cli.call import Call
from toolbox_git.cli.configuration import Configuration
from toolbox_git.cli.diffing import diff
from toolbox_git.cli.running import Runner
from toolbox_git.cli.transfer import Transfer
from toolbox_git.cli.worktree import Worktree
from toolbox_git.locks import RepositoryLocks
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_path
from toolbox_git.repository import find
from toolbox_git.staging import staged
from toolbox_git.urls import complete_url
from toolbox_git.urls import split_credentials


class CliBackend:
    """A backend that runs the git binary, once or a few times per operation."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._base: Path = context.work_dir
        self._options = context.group_settings
        self._runner = Runner()
        self._locks = RepositoryLocks(self._options.lock_timeout)
        self._configuration = Configuration(self._runner, self._base, self._options.timeout)
        self._transfer = Transfer(
            self._runner, self._options.network_timeout, self._options.stall_timeout
        )

    def close(self) -> None:
        """Terminate every running git process."""
        self._runner.close()

    # Operations that only read take no lock: git's own files change atomically, by a rename.

    def _open(self, path: str) -> Worktree:
        return Worktree(self._runner, find(path, self._base), self._options.timeout)

    @contextlib.contextmanager
    def _change(self, path: str) -> Iterator[Worktree]:
        tree = self._open(path)
        with self._locks.hold(tree.path):
            yield tree

    def status(self, query: models.RepositoryQuery) -> models.GitStatus:
        return self._open(query.path).status()

    def history(self, query: models.HistoryQuery) -> list[models.CommitInfo]:
        return self._open(query.path).history(query.limit)

    def diff(self, query: models.DiffQuery) -> models.Diff:
        return diff(self._open(query.path), query)

    def branches(self, query: models.RepositoryQuery) -> models.Branches:
        return self._open(query.path).branches()

    def create_branch(self, body: models.BranchRequest) -> None:
        with self._change(body.path) as tree:
            tree.create_branch(body.name)

    def delete_branch(self, body: models.BranchRequest) -> None:
        with self._change(body.path) as tree:
            tree.delete_branch(body.name)

    def checkout(self, body: models.CheckoutRequest) -> None:
        with self._change(body.path) as tree:
            tree.checkout(body.branch)

    def add(self, body: models.AddRequest) -> None:
        with self._change(body.path) as tree:
            tree.add(body.files)

    def commit(self, body: models.CommitRequest) -> models.CommitResult:
        with self._change(body.path) as tree:
            return models.CommitResult(tree.commit(body))

    def init(self, body: models.InitRequest) -> None:
        path = to_path(body.path, self._base)
        command: list[Any] = ["init", "-q"]
        if body.bare:
            command.append("--bare")
        if body.initial_branch:
            if not is_branch_name(body.initial_branch):
                raise BadRequest(f"{body.initial_branch!r} is not a valid branch name")
            command.append(b"--initial-branch=" + to_bytes(body.initial_branch))
        if path.exists() and not path.is_dir():
            raise Conflict(f"{body.path} exists and is not a directory")
        # Two inits of one directory would both find that it isn't a repository yet.
        with self._locks.hold(path):
            call = Call(cwd=self._base, timeout=self._options.timeout)
            self._runner.run([*command, "--", to_bytes(body.path)], call)

    def reset(self, body: models.ResetRequest) -> None:
        with self._change(body.path) as tree:
            tree.reset(body)

    def restore(self, body: models.RestoreRequest) -> None:
        with self._change(body.path) as tree:
            tree.restore(body)

    def clone(self, body: models.CloneRequest, disconnected: IsDisconnected) -> None:
        # The URL is checked first, before any directory is created.
        url = complete_url(body.url, self._base)
        target = to_path(body.path, self._base)
        with self._locks.hold(target), staged(target) as directory:
            self._transfer.clone(body, url, directory, base=self._base, disconnected=disconnected)

    def pull(self, body: models.PullRequest, disconnected: IsDisconnected) -> None:
        with self._change(body.path) as tree:
            self._transfer.pull(tree, body, disconnected)

    def push(self, body: models.PushRequest, disconnected: IsDisconnected) -> None:
        with self._change(body.path) as tree:
            self._transfer.push(tree, body, disconnected)

    def remotes(self, query: models.RepositoryQuery) -> models.Remotes:
        return models.Remotes(self._open(query.path).remotes())

    def add_remote(self, body: models.AddRemoteRequest, disconnected: IsDisconnected) -> None:
        if not is_branch_name(body.name):
            raise BadRequest(f"{body.name!r} is not a valid remote name")
        url, credentials = split_credentials(complete_url(body.url, self._base), None, None)
        with self._change(body.path) as tree:
            known = body.name in (remote.name for remote in tree.remotes())
            if known and not body.overwrite:
                raise Conflict(f"a remote {body.name!r} already exists")
            # Without the credentials, which git would store in the configuration.
            action = "set-url" if known else "add"
            tree.git("remote", action, "--", to_bytes(body.name), to_bytes(url))
            if body.fetch:
                self._transfer.fetch(tree, body.name, credentials, disconnected)

    def get_config(self, query: models.ConfigQuery) -> models.ConfigValue:
        return models.ConfigValue(self._configuration.get(query.key, query.scope, query.path))

    def set_config(self, body: models.SetConfigRequest) -> None:
        # One lock for all configuration: git doesn't wait for the lock file of another git, so a
        # concurrent change would fail. The key is the name of a lock, not a file.
        with self._locks.hold(self._base / ".gitconfig"):
            scope = body.scope or "global"
            self._configuration.set(body.key, body.value, scope, body.path or "")

    def configure_user(self, body: models.ConfigureUserRequest) -> None:
        with self._locks.hold(self._base / ".gitconfig"):
            for key, value in (("user.name", body.name), ("user.email", body.email)):
                self._configuration.set(key, value, body.scope or "global", body.path or "")

    def store_credentials(self, body: models.CredentialsRequest) -> None:
        with self._locks.hold(self._base / ".gitconfig"):
            self._configuration.store(body)

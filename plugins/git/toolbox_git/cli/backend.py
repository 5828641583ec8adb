"""The backend: which repository, under which lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_git.backend import Gone
from toolbox_git.cli.configuration import Configuration
from toolbox_git.cli.running import Call
from toolbox_git.cli.running import Runner
from toolbox_git.cli.transfer import Transfer
from toolbox_git.cli.worktree import Worktree
from toolbox_git.locks import RepositoryLocks
from toolbox_git.models import AddRemoteRequest
from toolbox_git.models import AddRequest
from toolbox_git.models import Branches
from toolbox_git.models import BranchRequest
from toolbox_git.models import CheckoutRequest
from toolbox_git.models import CloneRequest
from toolbox_git.models import CommitInfo
from toolbox_git.models import CommitRequest
from toolbox_git.models import CommitResult
from toolbox_git.models import ConfigQuery
from toolbox_git.models import ConfigureUserRequest
from toolbox_git.models import ConfigValue
from toolbox_git.models import CredentialsRequest
from toolbox_git.models import GitStatus
from toolbox_git.models import InitRequest
from toolbox_git.models import PullRequest
from toolbox_git.models import PushRequest
from toolbox_git.models import Remotes
from toolbox_git.models import RepositoryQuery
from toolbox_git.models import ResetRequest
from toolbox_git.models import RestoreRequest
from toolbox_git.models import SetConfigRequest
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_path
from toolbox_git.repository import find
from toolbox_git.staging import staged
from toolbox_git.urls import complete_url
from toolbox_git.urls import split_credentials


class CliBackend:
    """Runs the git binary, once or a few times for each operation."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._base: Path = context.work_dir
        self._options = context.options
        self._runner = Runner()
        self._locks = RepositoryLocks(self._options.lock_timeout)
        self._configuration = Configuration(self._runner, self._base, self._options.timeout)
        self._transfer = Transfer(
            self._runner, self._options.network_timeout, self._options.stall_timeout
        )

    def close(self) -> None:
        """End every git that runs."""
        self._runner.close()

    def _open(self, path: str) -> Worktree:
        return Worktree(self._runner, find(path, self._base), self._options.timeout)

    @contextlib.contextmanager
    def _change(self, path: str) -> Iterator[Worktree]:
        tree = self._open(path)
        with self._locks.hold(tree.path):
            yield tree

    def status(self, query: RepositoryQuery) -> GitStatus:
        return self._open(query.path).status()

    def history(self, query: RepositoryQuery) -> list[CommitInfo]:
        return self._open(query.path).history()

    def branches(self, query: RepositoryQuery) -> Branches:
        return self._open(query.path).branches()

    def create_branch(self, body: BranchRequest) -> None:
        with self._change(body.path) as tree:
            tree.create_branch(body.name)

    def delete_branch(self, body: BranchRequest) -> None:
        with self._change(body.path) as tree:
            tree.delete_branch(body.name)

    def checkout(self, body: CheckoutRequest) -> None:
        with self._change(body.path) as tree:
            tree.checkout(body.branch)

    def add(self, body: AddRequest) -> None:
        with self._change(body.path) as tree:
            tree.add(body.files)

    def commit(self, body: CommitRequest) -> CommitResult:
        with self._change(body.path) as tree:
            return CommitResult(tree.commit(body))

    def init(self, body: InitRequest) -> None:
        path = to_path(body.path, self._base)
        command: list[Any] = ["init", "-q"]
        if body.bare:
            command.append("--bare")
        if body.initial_branch:
            if not is_branch_name(body.initial_branch):
                raise BadRequest(f"{body.initial_branch!r} is not a valid branch name")
            command.append(b"--initial-branch=" + to_bytes(body.initial_branch))
        if path.exists() and not path.is_dir():
            raise Conflict(f"{body.path} exists and is no directory")
        with self._locks.hold(path):
            call = Call(cwd=self._base, timeout=self._options.timeout)
            self._runner.run([*command, "--", to_bytes(body.path)], call)

    def reset(self, body: ResetRequest) -> None:
        with self._change(body.path) as tree:
            tree.reset(body)

    def restore(self, body: RestoreRequest) -> None:
        with self._change(body.path) as tree:
            tree.restore(body)

    def clone(self, body: CloneRequest, gone: Gone) -> None:
        target = to_path(body.path, self._base)
        complete_url(body.url, self._base)
        with self._locks.hold(target), staged(target) as directory:
            self._transfer.clone(body, directory, self._base, gone)

    def pull(self, body: PullRequest, gone: Gone) -> None:
        with self._change(body.path) as tree:
            self._transfer.pull(tree, body, gone)

    def push(self, body: PushRequest, gone: Gone) -> None:
        with self._change(body.path) as tree:
            self._transfer.push(tree, body, gone)

    def remotes(self, query: RepositoryQuery) -> Remotes:
        return Remotes(self._open(query.path).remotes())

    def add_remote(self, body: AddRemoteRequest, gone: Gone) -> None:
        if not is_branch_name(body.name):
            raise BadRequest(f"{body.name!r} is not a valid remote name")
        url, credentials = split_credentials(complete_url(body.url, self._base), None, None)
        with self._change(body.path) as tree:
            known = body.name in (each.name for each in tree.remotes())
            if known and not body.overwrite:
                raise Conflict(f"a remote {body.name!r} already exists")
            action = "set-url" if known else "add"
            tree.git("remote", action, "--", to_bytes(body.name), to_bytes(url))
            if body.fetch:
                self._transfer.fetch(tree, body.name, credentials, gone)

    def get_config(self, query: ConfigQuery) -> ConfigValue:
        return ConfigValue(self._configuration.get(query.key, query.scope, query.path))

    def set_config(self, body: SetConfigRequest) -> None:
        with self._locks.hold(self._base / ".gitconfig"):
            scope = body.scope or "global"
            self._configuration.set(body.key, body.value, scope, body.path or "")

    def configure_user(self, body: ConfigureUserRequest) -> None:
        with self._locks.hold(self._base / ".gitconfig"):
            for key, value in (("user.name", body.name), ("user.email", body.email)):
                self._configuration.set(key, value, body.scope or "global", body.path or "")

    def store_credentials(self, body: CredentialsRequest) -> None:
        with self._locks.hold(self._base / ".gitconfig"):
            self._configuration.store(body)

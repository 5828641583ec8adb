"""The backend: every operation is a task for a helper process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_git.backend import Gone
from toolbox_git.inheritance import clean_environment
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
from toolbox_git.names import to_path
from toolbox_git.pure.helpers import Helpers
from toolbox_git.pure.messages import Task
from toolbox_git.repository import find
from toolbox_git.staging import staged
from toolbox_git.urls import complete_url


class DulwichBackend:
    """Has dulwich do it, outside this process; holds the locks."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._base: Path = context.work_dir
        self._options = context.options
        self._helpers = Helpers()
        self._locks = RepositoryLocks(self._options.lock_timeout)

    def close(self) -> None:
        """End the helpers."""
        self._helpers.close()

    def _run(self, operation: str, body: msgspec.Struct, gone: Gone | None, target: str) -> bytes:
        task = Task(
            operation=operation,
            base=str(self._base),
            environment=clean_environment(),
            body=msgspec.Raw(msgspec.msgpack.encode(body)),
            target=target,
            stall_timeout=self._options.stall_timeout,
        )
        timeout = self._options.timeout if gone is None else self._options.network_timeout
        return self._helpers.run(task, timeout, network=gone is not None, gone=gone)

    def _ask(self, operation: str, body: msgspec.Struct, kind: Any) -> Any:
        return msgspec.msgpack.decode(self._run(operation, body, None, ""), type=kind)

    def _change(self, operation: str, body: Any, gone: Gone | None = None) -> bytes:
        with self._locks.hold(find(body.path, self._base).path):
            return self._run(operation, body, gone, "")

    def _configure(self, operation: str, body: msgspec.Struct) -> None:
        with self._locks.hold(self._base / ".gitconfig"):
            self._run(operation, body, None, "")

    def status(self, query: RepositoryQuery) -> GitStatus:
        return self._ask("status", query, GitStatus)  # type: ignore[no-any-return]

    def history(self, query: RepositoryQuery) -> list[CommitInfo]:
        return self._ask("history", query, list[CommitInfo])  # type: ignore[no-any-return]

    def branches(self, query: RepositoryQuery) -> Branches:
        return self._ask("branches", query, Branches)  # type: ignore[no-any-return]

    def create_branch(self, body: BranchRequest) -> None:
        self._change("create_branch", body)

    def delete_branch(self, body: BranchRequest) -> None:
        self._change("delete_branch", body)

    def checkout(self, body: CheckoutRequest) -> None:
        self._change("checkout", body)

    def add(self, body: AddRequest) -> None:
        self._change("add", body)

    def commit(self, body: CommitRequest) -> CommitResult:
        return msgspec.msgpack.decode(self._change("commit", body), type=CommitResult)

    def init(self, body: InitRequest) -> None:
        with self._locks.hold(to_path(body.path, self._base)):
            self._run("init", body, None, "")

    def reset(self, body: ResetRequest) -> None:
        self._change("reset", body)

    def restore(self, body: RestoreRequest) -> None:
        self._change("restore", body)

    def clone(self, body: CloneRequest, gone: Gone) -> None:
        complete_url(body.url, self._base)
        target = to_path(body.path, self._base)
        with self._locks.hold(target), staged(target) as directory:
            self._run("clone", body, gone, str(directory))

    def pull(self, body: PullRequest, gone: Gone) -> None:
        self._change("pull", body, gone)

    def push(self, body: PushRequest, gone: Gone) -> None:
        self._change("push", body, gone)

    def remotes(self, query: RepositoryQuery) -> Remotes:
        return self._ask("remotes", query, Remotes)  # type: ignore[no-any-return]

    def add_remote(self, body: AddRemoteRequest, gone: Gone) -> None:
        self._change("add_remote", body, gone)

    def get_config(self, query: ConfigQuery) -> ConfigValue:
        return self._ask("get_config", query, ConfigValue)  # type: ignore[no-any-return]

    def set_config(self, body: SetConfigRequest) -> None:
        self._configure("set_config", body)

    def configure_user(self, body: ConfigureUserRequest) -> None:
        self._configure("configure_user", body)

    def store_credentials(self, body: CredentialsRequest) -> None:
        self._configure("store_credentials", body)

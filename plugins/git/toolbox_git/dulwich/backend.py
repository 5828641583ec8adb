"""The backend: sends every operation to a worker process."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import TypeVar

import msgspec

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_git import models
from toolbox_git.backend import IsDisconnected
from toolbox_git.dulwich.messages import Task
from toolbox_git.dulwich.workers.pool import WorkerPool
from toolbox_git.environment import clean_environment
from toolbox_git.locks import RepositoryLocks
from toolbox_git.names import to_path
from toolbox_git.repository import find
from toolbox_git.staging import staged
from toolbox_git.urls import complete_url

T = TypeVar("T")


class DulwichBackend:
    """A backend that runs dulwich in worker processes and holds the repositories' locks."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._base: Path = context.work_dir
        self._options = context.group_settings
        self._workers = WorkerPool()
        self._locks = RepositoryLocks(self._options.lock_timeout)

    def close(self) -> None:
        """Terminate the workers."""
        self._workers.close()

    def _run(
        self, operation: str, body: msgspec.Struct, disconnected: IsDisconnected | None, target: str
    ) -> bytes:
        task = Task(
            operation=operation,
            base=str(self._base),
            environment=clean_environment(),
            body=msgspec.Raw(msgspec.msgpack.encode(body)),
            target=target,
            stall_timeout=self._options.stall_timeout,
        )
        # Only operations with a remote can be canceled, and so only these have ``disconnected``.
        timeout = self._options.timeout if disconnected is None else self._options.network_timeout
        return self._workers.run(
            task, timeout, network=disconnected is not None, disconnected=disconnected
        )

    def _query(self, operation: str, body: msgspec.Struct, kind: type[T]) -> T:
        return msgspec.msgpack.decode(self._run(operation, body, None, ""), type=kind)

    def _change(
        self, operation: str, body: Any, disconnected: IsDisconnected | None = None
    ) -> bytes:
        with self._locks.hold(find(body.path, self._base).path):
            return self._run(operation, body, disconnected, "")

    def _configure(self, operation: str, body: msgspec.Struct) -> None:
        # One lock for all configuration: a worker reads a file, changes it and writes it back.
        with self._locks.hold(self._base / ".gitconfig"):
            self._run(operation, body, None, "")

    def status(self, query: models.RepositoryQuery) -> models.GitStatus:
        return self._query("status", query, models.GitStatus)

    def history(self, query: models.HistoryQuery) -> list[models.CommitInfo]:
        return self._query("history", query, list[models.CommitInfo])

    def diff(self, query: models.DiffQuery) -> models.Diff:
        return self._query("diff", query, models.Diff)

    def branches(self, query: models.RepositoryQuery) -> models.Branches:
        return self._query("branches", query, models.Branches)

    def create_branch(self, body: models.BranchRequest) -> None:
        self._change("create_branch", body)

    def delete_branch(self, body: models.BranchRequest) -> None:
        self._change("delete_branch", body)

    def checkout(self, body: models.CheckoutRequest) -> None:
        self._change("checkout", body)

    def add(self, body: models.AddRequest) -> None:
        self._change("add", body)

    def commit(self, body: models.CommitRequest) -> models.CommitResult:
        return msgspec.msgpack.decode(self._change("commit", body), type=models.CommitResult)

    def init(self, body: models.InitRequest) -> None:
        with self._locks.hold(to_path(body.path, self._base)):
            self._run("init", body, None, "")

    def reset(self, body: models.ResetRequest) -> None:
        self._change("reset", body)

    def restore(self, body: models.RestoreRequest) -> None:
        self._change("restore", body)

    def clone(self, body: models.CloneRequest, disconnected: IsDisconnected) -> None:
        # The URL is checked first, before any directory is created.
        body = msgspec.structs.replace(body, url=complete_url(body.url, self._base))
        target = to_path(body.path, self._base)
        with self._locks.hold(target), staged(target) as directory:
            self._run("clone", body, disconnected, str(directory))

    def pull(self, body: models.PullRequest, disconnected: IsDisconnected) -> None:
        self._change("pull", body, disconnected)

    def push(self, body: models.PushRequest, disconnected: IsDisconnected) -> None:
        self._change("push", body, disconnected)

    def remotes(self, query: models.RepositoryQuery) -> models.Remotes:
        return self._query("remotes", query, models.Remotes)

    def add_remote(self, body: models.AddRemoteRequest, disconnected: IsDisconnected) -> None:
        self._change("add_remote", body, disconnected)

    def get_config(self, query: models.ConfigQuery) -> models.ConfigValue:
        return self._query("get_config", query, models.ConfigValue)

    def set_config(self, body: models.SetConfigRequest) -> None:
        self._configure("set_config", body)

    def configure_user(self, body: models.ConfigureUserRequest) -> None:
        self._configure("configure_user", body)

    def store_credentials(self, body: models.CredentialsRequest) -> None:
        self._configure("store_credentials", body)

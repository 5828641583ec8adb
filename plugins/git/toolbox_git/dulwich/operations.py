"""The operations of a worker: for each, its function and the type of its body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import NotSupported
from toolbox_git import models
from toolbox_git.dulwich import branches
from toolbox_git.dulwich import committing
from toolbox_git.dulwich import configuration
from toolbox_git.dulwich import reading
from toolbox_git.dulwich import resetting
from toolbox_git.dulwich.diffing import diff
from toolbox_git.dulwich.history import history
from toolbox_git.dulwich.messages import Task
from toolbox_git.dulwich.remote import pushing
from toolbox_git.dulwich.remote import transfer
from toolbox_git.dulwich.remote.connecting import Access
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.names import check_clone
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_path
from toolbox_git.repository import find
from toolbox_git.urls import Credentials
from toolbox_git.urls import complete_url
from toolbox_git.urls import split_credentials

Function = Callable[[Any, Path, Task], Any]


def _open(path: str, base: Path) -> Repo:
    repo = Repo(str(find(path, base).path))
    if repo.object_format.name != "sha1":
        repo.close()
        raise NotSupported("SHA-256 repositories require the backend cli")
    return repo


def _status(body: models.RepositoryQuery, base: Path, task: Task) -> models.GitStatus:
    with _open(body.path, base) as repo:
        return reading.status(Worktree(repo))


def _history(body: models.HistoryQuery, base: Path, task: Task) -> list[models.CommitInfo]:
    with _open(body.path, base) as repo:
        return history(repo, body.limit)


def _diff(body: models.DiffQuery, base: Path, task: Task) -> models.Diff:
    with _open(body.path, base) as repo:
        return diff(repo, body)


def _branches(body: models.RepositoryQuery, base: Path, task: Task) -> models.Branches:
    with _open(body.path, base) as repo:
        return reading.branches(repo)


def _create_branch(body: models.BranchRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        branches.create_branch(repo, body.name)


def _delete_branch(body: models.BranchRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        branches.delete_branch(repo, body.name)


def _checkout(body: models.CheckoutRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        branches.checkout(repo, body.branch)


def _add(body: models.AddRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        committing.add(Worktree(repo), body.files)


def _commit(body: models.CommitRequest, base: Path, task: Task) -> models.CommitResult:
    with _open(body.path, base) as repo:
        return models.CommitResult(committing.commit(Worktree(repo), body))


def _init(body: models.InitRequest, base: Path, task: Task) -> None:
    path = to_path(body.path, base)
    branch = body.initial_branch
    if branch and not is_branch_name(branch):
        raise BadRequest(f"{branch!r} is not a valid branch name")
    if path.exists() and not path.is_dir():
        raise Conflict(f"{body.path} exists and is not a directory")
    if (path / ".git").exists() or ((path / "HEAD").exists() and (path / "objects").is_dir()):
        return
    # dulwich expects that the directory exists.
    path.mkdir(parents=True, exist_ok=True)
    init = Repo.init_bare if body.bare else Repo.init
    init(str(path), default_branch=to_bytes(branch) if branch else None).close()


def _reset(body: models.ResetRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        resetting.reset(repo, body)


def _restore(body: models.RestoreRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        resetting.restore(Worktree(repo), body)


def _clone(body: models.CloneRequest, base: Path, task: Task) -> None:
    check_clone(body)
    transfer.clone(body, Path(task.target), task.stall_timeout)


def _access(body: models.PullRequest | models.PushRequest, task: Task) -> Access:
    credentials = Credentials(body.username or "", body.password or "")
    return Access(credentials=credentials, stall_timeout=task.stall_timeout)


def _pull(body: models.PullRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        transfer.pull(repo, body, _access(body, task))


def _push(body: models.PushRequest, base: Path, task: Task) -> None:
    with _open(body.path, base) as repo:
        pushing.push(repo, body, _access(body, task))


def _remotes(body: models.RepositoryQuery, base: Path, task: Task) -> models.Remotes:
    with _open(body.path, base) as repo:
        return models.Remotes(reading.remotes(repo))


def _add_remote(body: models.AddRemoteRequest, base: Path, task: Task) -> None:
    if not is_branch_name(body.name):
        raise BadRequest(f"{body.name!r} is not a valid remote name")
    url, credentials = split_credentials(complete_url(body.url, base), None, None)
    with _open(body.path, base) as repo:
        config = repo.get_config()
        name = to_bytes(body.name)
        section = (b"remote", name)
        if body.name in (remote.name for remote in reading.remotes(repo)):
            if not body.overwrite:
                raise Conflict(f"a remote {body.name!r} already exists")
        else:
            config.set(section, b"fetch", b"+refs/heads/*:refs/remotes/" + name + b"/*")
        config.set(section, b"url", to_bytes(url))
        config.write_to_path()
    if body.fetch:
        with _open(body.path, base) as repo:
            access = Access(credentials=credentials, stall_timeout=task.stall_timeout)
            transfer.fetch(repo, body.name, access)


def _get_config(body: models.ConfigQuery, base: Path, task: Task) -> models.ConfigValue:
    path = configuration.config_path(body.scope, body.path, base)
    return models.ConfigValue(configuration.get(body.key, path))


def _set_config(body: models.SetConfigRequest, base: Path, task: Task) -> None:
    path = configuration.config_path(body.scope or "global", body.path or "", base)
    configuration.set_value(body.key, body.value, path)


def _configure_user(body: models.ConfigureUserRequest, base: Path, task: Task) -> None:
    path = configuration.config_path(body.scope or "global", body.path or "", base)
    configuration.set_value("user.name", body.name, path)
    configuration.set_value("user.email", body.email, path)


def _store_credentials(body: models.CredentialsRequest, base: Path, task: Task) -> None:
    configuration.store(body)


OPERATIONS: dict[str, tuple[Function, type[Any]]] = {
    "status": (_status, models.RepositoryQuery),
    "history": (_history, models.HistoryQuery),
    "diff": (_diff, models.DiffQuery),
    "branches": (_branches, models.RepositoryQuery),
    "create_branch": (_create_branch, models.BranchRequest),
    "delete_branch": (_delete_branch, models.BranchRequest),
    "checkout": (_checkout, models.CheckoutRequest),
    "add": (_add, models.AddRequest),
    "commit": (_commit, models.CommitRequest),
    "init": (_init, models.InitRequest),
    "reset": (_reset, models.ResetRequest),
    "restore": (_restore, models.RestoreRequest),
    "clone": (_clone, models.CloneRequest),
    "pull": (_pull, models.PullRequest),
    "push": (_push, models.PushRequest),
    "remotes": (_remotes, models.RepositoryQuery),
    "add_remote": (_add_remote, models.AddRemoteRequest),
    "get_config": (_get_config, models.ConfigQuery),
    "set_config": (_set_config, models.SetConfigRequest),
    "configure_user": (_configure_user, models.ConfigureUserRequest),
    "store_credentials": (_store_credentials, models.CredentialsRequest),
}

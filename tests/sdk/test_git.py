"""Every method of ``sandbox.git``, by each SDK."""

from __future__ import annotations

import inspect
import shutil
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import Sandbox
from daytona.common.errors import DaytonaError

from toolbox.testing import Service

JavaScript = Callable[..., Any]

IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.org")

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="git is not installed (Debian and Ubuntu: package git)"
)


@pytest.fixture(scope="module", params=["cli", "dulwich"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with each backend of the group git, and a home that may be changed."""
    directory = tmp_path_factory.mktemp("service")
    (directory / "home").mkdir()
    env = {"HOME": str(directory / "home")}
    settings = f'[git]\nbackend = "{request.param}"\n'
    running = Service(directory, settings=settings, env=env)
    yield running
    running.stop()


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A bare repository with a commit on ``main`` and a branch ``test``."""
    source = tmp_path / "source"
    for command in (
        ["init", "-q", "-b", "main", str(source)],
        ["-C", str(source), *IDENTITY, "commit", "-q", "--allow-empty", "-m", "first"],
        ["-C", str(source), "branch", "test"],
        ["clone", "-q", "--bare", str(source), str(tmp_path / "bare.git")],
    ):
        subprocess.run(["git", *command], check=True)
    return str(tmp_path / "bare.git")


class Direct:
    """Makes the methods of the sync SDK awaitable, and writes down which were called."""

    def __init__(self, git: Any) -> None:
        self._git = git
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            self.called.add(name)
            answer = getattr(self._git, name)(*arguments, **options)
            return await answer if inspect.isawaitable(answer) else answer

        return call


async def use_everything(git: Direct, name: str, bare: str, work_dir: Path) -> None:
    """A session with every method."""
    await git.clone(bare, name, branch="test")
    assert (await git.status(name)).current_branch == "test"
    (work_dir / name / "file").write_text("one\n")
    assert [(f.name, f.staging.value) for f in (await git.status(name)).file_status] == [
        ("file", "Untracked")
    ]
    await git.add(name, ["file"])
    commit = await git.commit(name, "a message", "Ada", "ada@example.org")
    assert len(commit.sha) == 40
    status = await git.status(name)
    assert (status.ahead, status.behind, status.upstream) == (1, 0, "origin/test")
    assert (status.branch_published, status.detached, status.file_status) == (True, False, [])
    await git.push(name)
    await git.pull(name)
    assert (await git.status(name)).ahead == 0
    await git.create_branch(name, "feature")
    await git.push(name, set_upstream=True)
    await git.checkout_branch(name, "test")
    branches = await git.branches(name)
    assert (branches.branches, branches.current) == (["feature", "test"], "test")
    await git.delete_branch(name, "feature")
    (work_dir / name / "file").write_text("two\n")
    await git.restore(name, ["file"])
    assert (work_dir / name / "file").read_text() == "one\n"
    await git.reset(name, mode="hard", target="HEAD~1")
    assert not (work_dir / name / "file").exists()
    await git.init(f"{name}-new", initial_branch="trunk")
    assert (await git.status(f"{name}-new")).current_branch == "trunk"
    await git.remote_add(f"{name}-new", "up", bare, fetch=True)
    assert [remote.name for remote in (await git.remotes(f"{name}-new")).remotes] == ["up"]
    assert await git.remote_get(f"{name}-new", "up") == bare
    assert await git.remote_get(f"{name}-new", "other") is None
    await git.set_config("toolbox.key", "")
    assert await git.get_config("toolbox.key") == ""
    assert await git.get_config("toolbox.other") is None
    await git.configure_user("Ada", "ada@example.org")
    assert await git.get_config("user.name") == "Ada"
    await git.dangerously_authenticate("ada", "token", host="git.example.org")
    with pytest.raises(DaytonaError, match="no git repository"):
        await git.status("nothing")


def methods(git: Any) -> set[str]:
    return {name for name in dir(type(git)) if not name.startswith("_")}


@pytest.mark.anyio
async def test_everything(sandbox: Sandbox, service: Service, bare: str) -> None:
    git = Direct(sandbox.git)
    await use_everything(git, "sync", bare, service.work_dir)
    assert git.called == methods(sandbox.git)


@pytest.mark.anyio
async def test_everything_async(async_sandbox: AsyncSandbox, service: Service, bare: str) -> None:
    git = Direct(async_sandbox.git)
    await use_everything(git, "async", bare, service.work_dir)
    assert git.called == methods(async_sandbox.git)


def test_typescript(javascript: JavaScript, service: Service, bare: str) -> None:
    said = javascript(
        """
        const called = new Set()
        const git = new Proxy(sandbox.git, {
            get: (target, name) => { called.add(name); return target[name].bind(target) },
        })
        const own = Object.getOwnPropertyNames(Object.getPrototypeOf(sandbox.git))
        await git.clone(input.bare, 'ts', 'test')
        await sandbox.fs.uploadFile(Buffer.from('one'), 'ts/file')
        await git.add('ts', ['file'])
        const { sha } = await git.commit('ts', 'a message', 'Ada', 'ada@example.org')
        const { currentBranch, ahead, fileStatus } = await git.status('ts')
        await git.push('ts')
        await git.pull('ts')
        await git.createBranch('ts', 'feature')
        await git.checkoutBranch('ts', 'test')
        await git.deleteBranch('ts', 'feature')
        const { branches, current } = await git.branches('ts')
        await sandbox.fs.uploadFile(Buffer.from('two'), 'ts/file')
        await git.restore('ts', ['file'])
        const restored = String(await sandbox.fs.downloadFile('ts/file'))
        await git.reset('ts', 'hard', 'HEAD~1')
        const reset = (await sandbox.fs.searchFiles('ts', 'file')).files
        await git.init('ts-new', false, 'trunk')
        const unborn = (await git.status('ts-new')).currentBranch
        await git.remoteAdd('ts-new', 'up', input.bare, true)
        const remotes = (await git.remotes('ts-new')).remotes.map(remote => remote.name)
        const urls = [await git.remoteGet('ts-new', 'up'), await git.remoteGet('ts-new', 'no')]
        await git.setConfig('toolbox.key', '')
        const config = [await git.getConfig('toolbox.key'), await git.getConfig('toolbox.no')]
        await git.configureUser('Ada', 'ada@example.org')
        config.push(await git.getConfig('user.name'))
        await git.dangerouslyAuthenticate('ada', 'token', 'git.example.org')
        const error = await git.status('nothing').catch(error => error.constructor.name)
        return {
            sha: sha.length, currentBranch, ahead, fileStatus, branches, current, restored, reset,
            unborn, remotes, urls, config, error,
            missed: own.filter(name => name !== 'constructor' && !called.has(name)),
        }
        """,
        input={"bare": bare},
    )
    assert said == {
        "sha": 40,
        "currentBranch": "test",
        "ahead": 1,
        "fileStatus": [],
        "branches": ["test"],
        "current": "test",
        "restored": "one",
        "reset": [],
        "unborn": "trunk",
        "remotes": ["up"],
        "urls": [bare, None],
        "config": ["", None, "Ada"],
        "error": "DaytonaGitRepoNotFoundError",
        "missed": [],
    }

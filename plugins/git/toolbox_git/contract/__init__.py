"""The contract of every backend of the group: a test class to subclass.

::

    class TestMine(GitContract):
        backend = "mine"

The tests create and inspect the repositories with the git binary.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from toolbox.testing import Service
from toolbox_git.contract.branches import BranchesContract
from toolbox_git.contract.client import IDENTITY
from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.cloning import CloningContract
from toolbox_git.contract.committing import CommittingContract
from toolbox_git.contract.configuration import ConfigurationContract
from toolbox_git.contract.differences import DifferencesContract
from toolbox_git.contract.reading import ReadingContract
from toolbox_git.contract.repositories import RepositoriesContract
from toolbox_git.contract.repository import Repository
from toolbox_git.contract.resetting import ResettingContract
from toolbox_git.contract.transfer import TransferContract

__all__ = ["IDENTITY", "GitClient", "GitContract", "Repository", "done", "refused"]


class GitContract(
    ReadingContract,
    CommittingContract,
    BranchesContract,
    DifferencesContract,
    ResettingContract,
    CloningContract,
    TransferContract,
    ConfigurationContract,
    RepositoriesContract,
):
    """The tests of the backend with the name ``backend``."""

    backend: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def git(cls) -> Iterator[GitClient]:
        """Start a service with the backend and a separate home directory."""
        directory = Path(tempfile.mkdtemp(prefix="toolbox-git-"))
        home = directory / "home"
        home.mkdir()
        env = {"HOME": str(home), "GIT_CONFIG_SYSTEM": str(directory / "system")}
        settings = f'[git]\nbackend = "{cls.backend}"\n'
        running = Service(directory, settings=settings, env=env)
        try:
            yield GitClient(running)
        finally:
            running.stop()
            shutil.rmtree(directory, ignore_errors=True)

    @pytest.fixture
    def repo(self, tmp_path: Path) -> Iterator[Repository]:
        """Create a repository without a commit; check its integrity at the end."""
        repository = Repository(tmp_path / "repo")
        yield repository
        repository.git("fsck", "--strict")

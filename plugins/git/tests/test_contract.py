from __future__ import annotations

import shutil

import pytest
from toolbox_git.contract import GitContract

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None, reason="git is not installed (Debian and Ubuntu: package git)"
)


class TestCli(GitContract):
    backend = "cli"


class TestDulwich(GitContract):
    backend = "dulwich"

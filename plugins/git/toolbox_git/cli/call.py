"""One run of a git process: its parameters and its output."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from toolbox.errors import ToolboxError
from toolbox_git.backend import IsDisconnected
from toolbox_git.cli.diagnosis import diagnose
from toolbox_git.urls import Credentials
from toolbox_git.urls import redact

NOWHERE = os.devnull
"""GIT_DIR of a call without a repository, so that git doesn't use one around the directory."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one git process."""

    cwd: Path
    program: str = "git"
    git_dir: Path | None = None
    stdin: bytes = b""
    env: Mapping[str, str] = {}
    config: Mapping[str, str] = {}
    url: str = ""
    """The remote; empty without one."""
    credentials: Credentials = Credentials()
    timeout: float = 600.0
    patience: float = 60.0
    """Seconds that the remote, or a credential helper, may be silent."""
    disconnected: IsDisconnected | None = None


class Output(msgspec.Struct, frozen=True):
    """The exit status and output of a git process."""

    status: int
    stdout: bytes
    stderr: str
    """Without warnings and hints."""
    remote: bool = False
    credentials: Credentials = Credentials()

    def error(self) -> ToolboxError:
        """Return the error that describes the failure."""
        error = diagnose(self.status, self.stdout, self.stderr, remote=self.remote)
        # Redacted last: a user name may be one of the words by which errors are recognized.
        return type(error)(redact(error.message, self.credentials))

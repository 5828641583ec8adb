"""The files whose first lines are the token, the signing key and the caller's digest."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from toolbox.settings.values import SettingsError


class SecretFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of the files to read again on SIGHUP; empty where the environment takes precedence."""

    token: str = ""
    signing_key: str = ""
    caller_digest: str = ""

    def paths(self) -> list[Path]:
        """Return those that are in use."""
        return [Path(file) for file in msgspec.structs.astuple(self) if file]


def read_secret(option: str, file: str) -> str:
    """Return the first line of ``file``, empty if ``file`` is empty. Raises SettingsError."""
    if not file:
        return ""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"auth.{option}: {file}: {reason}") from None
    # Editors add a newline, and generators of keys write more below.
    secret = lines[0].strip() if lines else ""
    if not secret:
        raise SettingsError(f"auth.{option}: {file}: the first line is empty")
    return secret


def absolute(file: str) -> str:
    """Return the absolute path of ``file``, empty if it is empty.

    The service changes its working directory later.
    """
    return str(Path(file).absolute()) if file else ""

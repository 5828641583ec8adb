"""The files whose first lines are the token and the signing key."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from toolbox.values import SettingsError


class SecretFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What is read again when the service is told to; empty where the environment has won."""

    token: str = ""
    signing_key: str = ""


def read_secret(option: str, file: str) -> str:
    """The first line of ``file``, empty if there is no file. Raises SettingsError."""
    if not file:
        return ""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"auth.{option}: {file}: {reason}") from None
    secret = lines[0].strip() if lines else ""
    if not secret:
        raise SettingsError(f"auth.{option}: {file}: the first line is empty")
    return secret


def absolute(file: str) -> str:
    """``file`` from wherever the service may go, empty if it is empty."""
    return str(Path(file).absolute()) if file else ""

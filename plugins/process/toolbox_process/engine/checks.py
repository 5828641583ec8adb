"""Checks of text that is handed to a program."""

from __future__ import annotations

from collections.abc import Mapping

from toolbox.errors import BadRequest
from toolbox.settings.variables import is_variable_name


def check_text(name: str, text: str) -> str:
    """Return ``text``. Raises BadRequest if a program can't be given it (execve(2))."""
    if "\0" in text:
        raise BadRequest(f"{name} contains a NUL character")
    return text


def check_environment(envs: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return variables as they are set. Raises BadRequest for one no environment can hold."""
    checked: dict[str, str] = {}
    for name, value in (envs or {}).items():
        if not is_variable_name(name):
            raise BadRequest(f"invalid environment variable name: {name!r}")
        # Null is the empty string for the Daytona Toolbox API.
        checked[name] = check_text(f"the variable {name}", value or "")
    return checked

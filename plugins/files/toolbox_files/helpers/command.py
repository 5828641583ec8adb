"""The command lines of the helper programs."""

from __future__ import annotations

from toolbox import helpers


def helper_command(module: str, *arguments: str, libraries: str = "") -> list[str]:
    """Return the command that runs ``toolbox_files.helpers.<module>``; see the core's."""
    return helpers.helper_command(
        f"toolbox_files.helpers.{module}", *arguments, libraries=libraries
    )

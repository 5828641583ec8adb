"""The launcher that the settings name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from toolbox.settings import SettingsError
from toolbox_process.engine.launcher import Launcher
from toolbox_process.settings import LocalSettings

LAUNCHERS = {
    "plain": "toolbox_process.launchers.plain:PlainLauncher",
    "user": "toolbox_process.launchers.user:UserLauncher",
    "bubblewrap": "toolbox_process.launchers.bubblewrap:BubblewrapLauncher",
}
"""Ours by name; any other is named ``module:Class``."""


def find_launcher(settings: LocalSettings) -> Callable[[LocalSettings], Launcher]:
    """Return the class, whose ``check`` has passed. Raises SettingsError."""
    name = settings.launcher
    module, colon, attribute = LAUNCHERS.get(name, name).partition(":")
    if not colon:
        known = ", ".join(LAUNCHERS)
        raise SettingsError(
            f'process.local.launcher: {name!r} is not one of {known} or a "module:Class"'
        )
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
        found.check(settings)
    except (ImportError, AttributeError, ValueError, OSError) as error:
        raise SettingsError(f"process.local.launcher: {name}: {error}") from None
    made: Callable[[LocalSettings], Launcher] = found
    return made

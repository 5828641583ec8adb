"""A plugin with a hook that doesn't exist."""

from __future__ import annotations

from toolbox import hookimpl


@hookimpl
def toolbox_gruop() -> None:
    """Wait for ever to be called."""

"""Offers an authenticator, and then has none."""

from __future__ import annotations

from toolbox import hookimpl


@hookimpl
def toolbox_authenticator() -> None:
    """Return none."""

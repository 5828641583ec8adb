"""Errors of the group ``info``."""

from __future__ import annotations

from toolbox.errors import NotFound


class HomeUnknown(NotFound):
    """The environment has no home directory."""

    code = "HOME_NOT_FOUND"

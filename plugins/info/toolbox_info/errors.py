"""What can go wrong in the group ``info``."""

from __future__ import annotations

from toolbox.errors import NotFound


class HomeUnknown(NotFound):
    """The environment names no home directory."""

    code = "HOME_NOT_FOUND"

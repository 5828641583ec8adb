"""Errors of the group ``page``."""

from __future__ import annotations

from toolbox.errors import NotFound


class NoSuchFile(NotFound):
    """The page has no file of that name."""

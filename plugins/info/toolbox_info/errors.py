"""What can go wrong in the group ``info``."""

from __future__ import annotations

from toolbox.errors import ToolboxError


class HomeUnknown(ToolboxError):
    """The user has no home directory."""

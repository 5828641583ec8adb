"""What can go wrong in the group ``metrics``."""

from __future__ import annotations

from toolbox.errors import NotFound


class MetricsOff(NotFound):
    """Nothing is counted."""

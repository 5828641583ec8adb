"""Errors of the group ``metrics``."""

from __future__ import annotations

from toolbox.errors import NotFound


class MetricsOff(NotFound):
    """Metrics are disabled."""

"""The Protocol of a backend of the group ``metrics``."""

from __future__ import annotations

from typing import Protocol

from toolbox.lifecycle import Toolbox
from toolbox.observing import Observer


class MetricsBackend(Protocol):
    """Count finished requests and closed WebSockets, and expose the totals."""

    def watch(self, toolbox: Toolbox) -> Observer | None:
        """Start counting. Return the observer to call for each record, or None if metrics are
        disabled.
        """

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, in a format that the ``Accept`` header names, and its content type.

        Raises MetricsOff.
        """

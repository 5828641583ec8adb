"""The Protocol of a backend of the group ``opentelemetry``."""

from __future__ import annotations

from typing import Protocol

from toolbox.lifecycle import Toolbox
from toolbox.observing import Observer


class TracesBackend(Protocol):
    """Make spans of finished requests and closed WebSockets, and export them."""

    def watch(self, toolbox: Toolbox) -> Observer | None:
        """Start. Return the observer to call for each record, or None without an endpoint."""

    def close(self) -> None:
        """Send what is left, within a time limit."""

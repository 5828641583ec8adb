"""What a backend of the group ``opentelemetry`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox.lifecycle import Toolbox
from toolbox.observing import Observer


class TracesBackend(Protocol):
    """Makes spans of what has ended, and sends them away."""

    def watch(self, toolbox: Toolbox) -> Observer | None:
        """Begin: what is to be told of all that has ended. None if there is nowhere to send to."""

    def close(self) -> None:
        """Send what is left, within a bound."""

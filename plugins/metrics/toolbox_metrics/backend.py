"""What a backend of the group ``metrics`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox.lifecycle import Toolbox
from toolbox.observing import Observer


class MetricsBackend(Protocol):
    """Counts what has ended."""

    def watch(self, toolbox: Toolbox) -> Observer | None:
        """Begin to count ``toolbox``: what is to be told of all that has ended. None if metrics
        are off.
        """

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All figures in a format that ``accept`` names, and its content type.

        Raises MetricsOff.
        """

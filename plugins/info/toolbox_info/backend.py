"""What a backend of the group ``info`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox_info.models import SystemMetrics


class InfoBackend(Protocol):
    """Knows the sandbox."""

    def work_dir(self) -> str:
        """Where relative paths start."""

    def home_dir(self) -> str:
        """The user's home. Raises HomeUnknown."""

    def metrics(self) -> SystemMetrics:
        """What is used right now. Never fails."""

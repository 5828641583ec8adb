"""The Protocol of a backend of the group ``info``."""

from __future__ import annotations

from typing import Protocol

from toolbox_info.models import SystemMetrics


class InfoBackend(Protocol):
    """Directories and metrics of the sandbox."""

    def work_dir(self) -> str:
        """Return the directory that relative paths start from."""

    def home_dir(self) -> str:
        """Return the user's home directory. Raises HomeUnknown."""

    def metrics(self) -> SystemMetrics:
        """Return the current usage. Never fails."""

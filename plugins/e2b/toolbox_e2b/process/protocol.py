"""Processes, as a backend offers them."""

from __future__ import annotations

from typing import Protocol

from toolbox_e2b.process.processes import Processes


class HasProcesses(Protocol):
    """The part of a backend that the procedures of processes need."""

    @property
    def processes(self) -> Processes:
        """The processes."""

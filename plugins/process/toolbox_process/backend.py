"""What a backend of the group ``process`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox.response import Answer
from toolbox_process.models import ExecuteRequest


class ProcessBackend(Protocol):
    """Runs programs."""

    def execute(self, request: ExecuteRequest) -> Answer:
        """Run a command and wait: an ExecuteResponse. Raises BadRequest, ExecutionTimeout."""

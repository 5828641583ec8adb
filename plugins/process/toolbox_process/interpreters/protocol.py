"""Interpreter contexts, as a backend offers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from toolbox.sockets.loop import Loop
from toolbox_process.engine.output import Follower
from toolbox_process.interpreters.models import CodeRequest
from toolbox_process.interpreters.models import ContextInfo
from toolbox_process.interpreters.models import CreateContextRequest
from toolbox_process.interpreters.run import Run


class Interpreters(Protocol):
    """The interpreter contexts by id."""

    loop: Loop

    def create(self, request: CreateContextRequest) -> tuple[ContextInfo, str]:
        """Start a context; return it and a note for the client. Raises BadRequest, SpawnFailed."""

    def list(self) -> Sequence[ContextInfo]:
        """Return all contexts but the default one, the oldest first."""

    def delete(self, context_id: str) -> None:
        """End a context and everything it has started. Raises BadRequest, ProcessNotFound."""

    def submit(self, request: CodeRequest, timeout: int, client: Follower) -> Run:
        """Run code when its turn has come. Never blocks. Raises BadRequest, ProcessNotFound."""

    def abandon(self, run: Run) -> None:
        """Stop sending the run's output to its client; the run goes on."""


class HasInterpreters(Protocol):
    """The part of a backend that the operations of interpreters need."""

    @property
    def interpreters(self) -> Interpreters:
        """The interpreter contexts."""

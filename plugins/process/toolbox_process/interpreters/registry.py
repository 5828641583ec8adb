"""All interpreter contexts, by id."""

from __future__ import annotations

import threading

from toolbox.errors import BadRequest
from toolbox.identifiers import new_id
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.output import Follower
from toolbox_process.interpreters.context import InterpreterContext
from toolbox_process.interpreters.models import CodeRequest
from toolbox_process.interpreters.models import ContextInfo
from toolbox_process.interpreters.models import CreateContextRequest
from toolbox_process.interpreters.run import Run

DEFAULT = "default"
"""The context of code that names none; it can't be deleted."""


class LocalInterpreters:
    """See :class:`toolbox_process.interpreters.protocol.Interpreters`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.loop = engine.loop
        self._lock = threading.Lock()
        self._contexts = {DEFAULT: InterpreterContext(engine, DEFAULT, None)}
        if engine.settings.warm_interpreter:
            self._contexts[DEFAULT].warm()

    def create(self, request: CreateContextRequest) -> tuple[ContextInfo, str]:
        if request.language not in (None, "python"):
            raise BadRequest(f"unknown language {request.language!r}; known is python")
        context = InterpreterContext(
            self._engine, new_id(), check_text("cwd", request.cwd or "") or None
        )
        note = self._engine.note(request.cwd)
        # Listed only when its process runs: a failure leaves nothing behind.
        context.start()
        with self._lock:
            self._contexts[context.id] = context
        return context.info(), note

    def list(self) -> list[ContextInfo]:
        with self._lock:
            contexts = list(self._contexts.values())
        return [context.info() for context in contexts if context.id != DEFAULT]

    def busy(self) -> int:
        """Return the number of contexts in which code runs."""
        with self._lock:
            contexts = list(self._contexts.values())
        return sum(context.is_busy() for context in contexts)

    def delete(self, context_id: str) -> None:
        if context_id == DEFAULT:
            raise BadRequest("the default context can't be deleted")
        with self._lock:
            context = self._contexts.get(context_id)
        if context is None:
            raise self._engine.not_there("context", context_id)
        context.delete()
        with self._lock:  # Only now: a context that could not be ended can be deleted again.
            self._contexts.pop(context_id, None)

    def submit(self, request: CodeRequest, timeout: int, client: Follower) -> Run:
        if not request.code:
            raise BadRequest("missing code")
        if timeout < 0:
            raise BadRequest("timeout must not be negative")
        envs = check_environment(request.envs)
        with self._lock:
            context = self._contexts.get(request.context_id or DEFAULT)
        if context is None:
            raise self._engine.not_there("context", request.context_id or DEFAULT)
        run = Run(request.code, envs, timeout, client, context)
        context.submit(run)
        return run

    def abandon(self, run: Run) -> None:
        run.context.abandon(run)

"""The operations of interpreters."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.response import Answer
from toolbox_process.backend import ProcessBackend
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.interpreter_models import ContextInfo
from toolbox_process.interpreter_models import ContextList
from toolbox_process.interpreter_models import CreateContextRequest
from toolbox_process.interpreter_socket import InterpreterSocket
from toolbox_process.pty_models import Message
from toolbox_process.routes import group


@group.post(
    "/process/interpreter/context",
    answers=ContextInfo,
    errors=(BadRequest, InvalidBody, SpawnFailed),
)
def create_interpreter_context(backend: ProcessBackend, body: CreateContextRequest) -> Answer:
    """Start an interpreter with a namespace of its own."""
    context, note = backend.interpreters.create(body)
    return Answer(context, headers=note)


@group.get("/process/interpreter/context")
def list_interpreter_contexts(backend: ProcessBackend) -> ContextList:
    """List the contexts, without the default one."""
    return ContextList(contexts=list(backend.interpreters.list()))


@group.delete("/process/interpreter/context/{id}", errors=(BadRequest, ProcessNotFound))
def delete_interpreter_context(backend: ProcessBackend, id: str) -> Message:
    """End an interpreter and everything it has started."""
    backend.interpreters.delete(id)
    return Message(message="the context is deleted")


@group.websocket("/process/interpreter/execute")
def execute_interpreter_code(backend: ProcessBackend) -> InterpreterSocket:
    """Run code in a context: the first message is the request, what is sent are its events."""
    return InterpreterSocket(backend.interpreters)

"""The operations of interpreters."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.group import Operations
from toolbox.response import JsonResponse
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.interpreters.models import ContextInfo
from toolbox_process.interpreters.models import ContextList
from toolbox_process.interpreters.models import CreateContextRequest
from toolbox_process.interpreters.protocol import HasInterpreters
from toolbox_process.interpreters.socket import InterpreterSocket
from toolbox_process.models import Message
from toolbox_process.wire.headers import note_headers

operations = Operations()


@operations.post(
    "/process/interpreter/context",
    returns=ContextInfo,
    errors=(BadRequest, InvalidBody, SpawnFailed),
)
def create_interpreter_context(
    backend: HasInterpreters, body: CreateContextRequest
) -> JsonResponse:
    """Start an interpreter with its own namespace."""
    context, note = backend.interpreters.create(body)
    return JsonResponse(context, headers=note_headers(note))


@operations.get("/process/interpreter/context")
def list_interpreter_contexts(backend: HasInterpreters) -> ContextList:
    """List the contexts, without the default one."""
    return ContextList(contexts=list(backend.interpreters.list()))


@operations.delete("/process/interpreter/context/{id}", errors=(BadRequest, ProcessNotFound))
def delete_interpreter_context(backend: HasInterpreters, id: str) -> Message:
    """End an interpreter and everything it has started."""
    backend.interpreters.delete(id)
    return Message(message="context deleted")


@operations.websocket("/process/interpreter/execute")
def execute_interpreter_code(backend: HasInterpreters) -> InterpreterSocket:
    """Run code in a context. The first message is the request; the messages sent are its events."""
    return InterpreterSocket(backend.interpreters)

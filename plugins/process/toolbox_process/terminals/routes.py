"""The operations of terminals."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.errors import ToolboxError
from toolbox.group import Operations
from toolbox.response import JsonResponse
from toolbox.sockets.handler import SocketHandler
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.terminals.headers import is_sdk
from toolbox_process.terminals.models import ConnectQuery
from toolbox_process.terminals.models import CreateConnectQuery
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import CreatePtyResponse
from toolbox_process.terminals.models import PtyHeaders
from toolbox_process.terminals.models import PtyInfo
from toolbox_process.terminals.models import PtyList
from toolbox_process.terminals.models import PtySize
from toolbox_process.terminals.protocol import HasTerminals
from toolbox_process.terminals.socket import TerminalFailure
from toolbox_process.terminals.socket import TerminalSocket
from toolbox_process.terminals.socket import create_connect
from toolbox_process.wire.headers import note_headers

operations = Operations()


@operations.post(
    "/process/pty",
    status=201,
    returns=CreatePtyResponse,
    errors=(BadRequest, InvalidBody, AlreadyExists),
)
def create_pty_session(backend: HasTerminals, body: CreatePtyRequest) -> JsonResponse:
    """Start a shell on a terminal."""
    terminal = backend.terminals.create(body)
    return JsonResponse(CreatePtyResponse(session_id=body.id), headers=note_headers(terminal.note))


@operations.get("/process/pty")
def list_pty_sessions(backend: HasTerminals) -> PtyList:
    """List the terminals."""
    return PtyList(sessions=list(backend.terminals.list()))


@operations.get("/process/pty/{session_id}", errors=(ProcessNotFound,))
def get_pty_session(backend: HasTerminals, session_id: str) -> PtyInfo:
    """Show a terminal."""
    return backend.terminals.get(session_id)


@operations.delete("/process/pty/{session_id}", errors=(ProcessNotFound,))
def delete_pty_session(backend: HasTerminals, session_id: str) -> dict[str, str]:
    """End a terminal and everything that was started on it."""
    backend.terminals.delete(session_id)
    # Empty: the Go client of 0.190 fails on members it doesn't know.
    return {}


@operations.post("/process/pty/{session_id}/resize", errors=(InvalidBody, SessionEnded))
def resize_pty_session(backend: HasTerminals, session_id: str, body: PtySize) -> PtyInfo:
    """Change a terminal's size.

    A shell that has not started yet (``lazyStart``) starts with it.
    """
    return backend.terminals.resize(session_id, body)


@operations.websocket("/process/pty/create-connect", errors=(BadRequest, AlreadyExists))
def create_and_connect_pty_session(
    backend: HasTerminals, query: CreateConnectQuery, headers: PtyHeaders
) -> SocketHandler:
    """Start a shell on a terminal and connect to it."""
    return create_connect(backend.terminals, query, headers)


@operations.websocket("/process/pty/{session_id}/connect", errors=(ProcessNotFound, SessionEnded))
def connect_pty_session(
    backend: HasTerminals, session_id: str, query: ConnectQuery, headers: PtyHeaders
) -> SocketHandler:
    """Connect to a terminal.

    If there is none, an SDK gets the error as a message after the upgrade.
    """
    try:
        return TerminalSocket(backend.terminals.connect(session_id), headers, query.offset)
    except ToolboxError as error:
        if not is_sdk(headers):
            raise
        return TerminalFailure(error)

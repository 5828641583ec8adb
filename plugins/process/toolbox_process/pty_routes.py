"""The operations of terminals."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.errors import ToolboxError
from toolbox.handler import SocketHandler
from toolbox.response import Answer
from toolbox_process.backend import ProcessBackend
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.pty_models import ConnectQuery
from toolbox_process.pty_models import CreateConnectQuery
from toolbox_process.pty_models import CreatePtyRequest
from toolbox_process.pty_models import CreatePtyResponse
from toolbox_process.pty_models import PtyHeaders
from toolbox_process.pty_models import PtyInfo
from toolbox_process.pty_models import PtyList
from toolbox_process.pty_models import PtySize
from toolbox_process.pty_protocol import PtyFailure
from toolbox_process.pty_protocol import PtySocket
from toolbox_process.pty_protocol import create_connect
from toolbox_process.pty_protocol import is_sdk
from toolbox_process.routes import group


@group.post(
    "/process/pty",
    status=201,
    answers=CreatePtyResponse,
    errors=(BadRequest, InvalidBody, AlreadyExists),
)
def create_pty_session(backend: ProcessBackend, body: CreatePtyRequest) -> Answer:
    """Start a shell on a terminal."""
    terminal = backend.terminals.create(body)
    return Answer(CreatePtyResponse(session_id=body.id), headers=terminal.note)


@group.get("/process/pty")
def list_pty_sessions(backend: ProcessBackend) -> PtyList:
    """List the terminals."""
    return PtyList(sessions=list(backend.terminals.list()))


@group.get("/process/pty/{session_id}", errors=(ProcessNotFound,))
def get_pty_session(backend: ProcessBackend, session_id: str) -> PtyInfo:
    """Show a terminal."""
    return backend.terminals.get(session_id)


@group.delete("/process/pty/{session_id}", errors=(ProcessNotFound,))
def delete_pty_session(backend: ProcessBackend, session_id: str) -> dict[str, str]:
    """End a terminal and everything that was started on it."""
    backend.terminals.delete(session_id)
    # No more than that: the Go client of 0.190 refuses members it doesn't know.
    return {}


@group.post("/process/pty/{session_id}/resize", errors=(InvalidBody, SessionEnded))
def resize_pty_session(backend: ProcessBackend, session_id: str, body: PtySize) -> PtyInfo:
    """Change a terminal's size.

    One whose shell has not started yet (``lazyStart``) begins with it.
    """
    return backend.terminals.resize(session_id, body)


@group.websocket("/process/pty/create-connect", errors=(BadRequest, AlreadyExists))
def create_and_connect_pty_session(
    backend: ProcessBackend, query: CreateConnectQuery, headers: PtyHeaders
) -> SocketHandler:
    """Start a shell on a terminal and connect to it."""
    return create_connect(backend.terminals, query, headers)


@group.websocket("/process/pty/{session_id}/connect", errors=(ProcessNotFound, SessionEnded))
def connect_pty_session(
    backend: ProcessBackend, session_id: str, query: ConnectQuery, headers: PtyHeaders
) -> SocketHandler:
    """Connect to a terminal.

    An SDK that asks for one that isn't there is told so after the upgrade.
    """
    try:
        return PtySocket(backend.terminals.connect(session_id), headers, query.offset)
    except ToolboxError as error:
        if not is_sdk(headers):
            raise
        return PtyFailure(error)

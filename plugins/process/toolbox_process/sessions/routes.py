"""The operations of sessions."""

from __future__ import annotations

from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox.response import StreamResponse
from toolbox_process.errors import END_REASON
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.sessions.dialect import Dialect
from toolbox_process.sessions.dialect import http_dialect
from toolbox_process.sessions.dialect import socket_dialect
from toolbox_process.sessions.dialect import starts_at_home
from toolbox_process.sessions.models import ClientHeaders
from toolbox_process.sessions.models import CommandInfo
from toolbox_process.sessions.models import CreateSessionRequest
from toolbox_process.sessions.models import InputRequest
from toolbox_process.sessions.models import LogQuery
from toolbox_process.sessions.models import Logs
from toolbox_process.sessions.models import SessionExecuteRequest
from toolbox_process.sessions.models import SessionExecuteResponse
from toolbox_process.sessions.models import SessionInfo
from toolbox_process.sessions.protocol import ENTRYPOINT
from toolbox_process.sessions.protocol import HasSessions
from toolbox_process.sessions.responses import log_response
from toolbox_process.sessions.responses import session_execute_response
from toolbox_process.sessions.socket import LogFollower
from toolbox_process.wire.headers import end_headers
from toolbox_process.wire.headers import note_headers
from toolbox_process.wire.preview import parse_preview

operations = Operations()


@operations.post(
    "/process/session",
    status=201,
    returns=type(None),
    errors=(BadRequest, InvalidBody, AlreadyExists),
)
def create_session(
    backend: HasSessions, body: CreateSessionRequest, headers: ClientHeaders
) -> JsonResponse:
    """Start a session: a shell that keeps its state between commands."""
    note = backend.sessions.create(body.session_id, starts_at_home(headers))
    return JsonResponse(None, headers=note_headers(note))


@operations.get("/process/session")
def list_sessions(backend: HasSessions) -> list[SessionInfo]:
    """List the sessions and their commands, except the entrypoint's."""
    return [session.info() for session in backend.sessions.list()]


@operations.get("/process/session/{session_id}", returns=SessionInfo, errors=(ProcessNotFound,))
def get_session(backend: HasSessions, session_id: str) -> JsonResponse:
    """Show a session and its commands."""
    session = backend.sessions.get(session_id)
    headers = {END_REASON: session.reason.value} if session.reason else {}
    return JsonResponse(session.info(), headers=headers)


@operations.get("/process/session/entrypoint", errors=(ProcessNotFound,))
def get_entrypoint_session(backend: HasSessions) -> SessionInfo:
    """Show the session of the configured entrypoint."""
    return backend.sessions.get(ENTRYPOINT).info()


@operations.delete(
    "/process/session/{session_id}", status=204, errors=(BadRequest, ProcessNotFound)
)
def delete_session(backend: HasSessions, session_id: str) -> None:
    """End a session and everything it has started."""
    backend.sessions.delete(session_id)


@operations.post(
    "/process/session/{session_id}/exec",
    returns=SessionExecuteResponse,
    other_statuses=(202,),
    errors=(BadRequest, InvalidBody, ProcessNotFound, SessionEnded),
)
def session_execute_command(
    backend: HasSessions,
    session_id: str,
    body: SessionExecuteRequest,
    headers: ClientHeaders,
    request: RequestInfo,
) -> JsonResponse | StreamResponse:
    """Run a command in a session's shell.

    Commands run one after the other. With ``runAsync`` the response is 202, before the command
    ends.
    """
    preview = parse_preview(headers.preview or "")
    command = backend.sessions.execute(session_id, body, request.is_disconnected)
    return session_execute_response(
        command, body.wait, http_dialect(headers), backend.max_result, preview
    )


@operations.get(
    "/process/session/{session_id}/command/{command_id}",
    returns=CommandInfo,
    errors=(ProcessNotFound,),
)
def get_session_command(backend: HasSessions, session_id: str, command_id: str) -> JsonResponse:
    """Show a command of a session."""
    command = backend.sessions.get(session_id).command(command_id)
    return JsonResponse(command.info(), headers=end_headers(command, 0))


@operations.post(
    "/process/session/{session_id}/command/{command_id}/input",
    status=204,
    errors=(
        BadRequest,
        InvalidBody,
        ProcessNotFound,
        SessionEnded,
        CommandCompleted,
        InputUnavailable,
    ),
)
def send_input(backend: HasSessions, session_id: str, command_id: str, body: InputRequest) -> None:
    """Write a line to the standard input of a command that was started with ``runAsync``."""
    backend.sessions.send_input(session_id, command_id, body.data)


@operations.get(
    "/process/session/{session_id}/command/{command_id}/logs",
    returns=Logs,
    errors=(ProcessNotFound,),
)
def get_session_command_logs(
    backend: HasSessions, session_id: str, command_id: str, headers: ClientHeaders
) -> Any:
    """Show the output of a command so far."""
    command = backend.sessions.get(session_id).command(command_id)
    preview = parse_preview(headers.preview or "")
    return log_response(command, http_dialect(headers), backend.max_result, preview)


@operations.websocket(
    "/process/session/{session_id}/command/{command_id}/logs", errors=(ProcessNotFound,)
)
def follow_session_command_logs(
    backend: HasSessions,
    session_id: str,
    command_id: str,
    query: LogQuery,
    headers: ClientHeaders,
) -> LogFollower:
    """Follow the output of a command from its beginning to its end."""
    command = backend.sessions.get(session_id).command(command_id)
    return LogFollower(command, socket_dialect(headers), query.follow == "true")


@operations.get("/process/session/entrypoint/logs", returns=Logs, errors=(ProcessNotFound,))
def get_entrypoint_logs(backend: HasSessions, headers: ClientHeaders) -> Any:
    """Show the output of the configured entrypoint so far."""
    dialect = http_dialect(headers)
    marked = dialect if dialect is Dialect.JSON else Dialect.MARKED
    preview = parse_preview(headers.preview or "")
    return log_response(backend.sessions.entrypoint(), marked, backend.max_result, preview)


@operations.websocket("/process/session/entrypoint/logs", errors=(ProcessNotFound,))
def follow_entrypoint_logs(backend: HasSessions, query: LogQuery) -> LogFollower:
    """Follow the output of the configured entrypoint."""
    return LogFollower(backend.sessions.entrypoint(), Dialect.MARKED, query.follow == "true")

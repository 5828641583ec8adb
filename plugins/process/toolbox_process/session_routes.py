"""The operations of sessions."""

from __future__ import annotations

from typing import Any

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_process.backend import ProcessBackend
from toolbox_process.dialect import Dialect
from toolbox_process.dialect import http_dialect
from toolbox_process.dialect import socket_dialect
from toolbox_process.dialect import starts_at_home
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.logs import LogFollower
from toolbox_process.logs import render
from toolbox_process.logs import session_answer
from toolbox_process.output import END_REASON
from toolbox_process.output import describe_end
from toolbox_process.routes import group
from toolbox_process.session_models import ClientHeaders
from toolbox_process.session_models import CommandInfo
from toolbox_process.session_models import CreateSessionRequest
from toolbox_process.session_models import InputRequest
from toolbox_process.session_models import LogQuery
from toolbox_process.session_models import Logs
from toolbox_process.session_models import SessionExecuteRequest
from toolbox_process.session_models import SessionExecuteResponse
from toolbox_process.session_models import SessionInfo

ENTRYPOINT = "entrypoint"


@group.post(
    "/process/session",
    status=201,
    answers=type(None),
    errors=(BadRequest, InvalidBody, AlreadyExists),
)
def create_session(
    backend: ProcessBackend, body: CreateSessionRequest, headers: ClientHeaders
) -> Answer:
    """Start a session: a shell that keeps its state between commands."""
    note = backend.sessions.create(body.session_id, starts_at_home(headers))
    return Answer(None, headers=note)


@group.get("/process/session")
def list_sessions(backend: ProcessBackend) -> list[SessionInfo]:
    """List the sessions and their commands, without the entrypoint's."""
    return [session.info() for session in backend.sessions.list()]


@group.get("/process/session/{session_id}", answers=SessionInfo, errors=(ProcessNotFound,))
def get_session(backend: ProcessBackend, session_id: str) -> Answer:
    """Show a session and its commands."""
    session = backend.sessions.get(session_id)
    headers = {END_REASON: session.reason.value} if session.reason else {}
    return Answer(session.info(), headers=headers)


@group.get("/process/session/entrypoint", errors=(ProcessNotFound,))
def get_entrypoint_session(backend: ProcessBackend) -> SessionInfo:
    """Show the session of the program the service was told to run."""
    return backend.sessions.get(ENTRYPOINT).info()


@group.delete("/process/session/{session_id}", status=204, errors=(BadRequest, ProcessNotFound))
def delete_session(backend: ProcessBackend, session_id: str) -> None:
    """End a session and everything it has started."""
    backend.sessions.delete(session_id)


@group.post(
    "/process/session/{session_id}/exec",
    answers=SessionExecuteResponse,
    other_statuses=(202,),
    errors=(BadRequest, InvalidBody, ProcessNotFound, SessionEnded),
)
def session_execute_command(
    backend: ProcessBackend,
    session_id: str,
    body: SessionExecuteRequest,
    headers: ClientHeaders,
    request: RequestInfo,
) -> Answer | StreamAnswer:
    """Run a command in a session's shell.

    Commands run one after the other. With ``runAsync`` the answer is 202 at once.
    """
    command = backend.sessions.execute(session_id, body, request.client_gone)
    return session_answer(command, body.wait, http_dialect(headers), backend.max_result)


@group.get(
    "/process/session/{session_id}/command/{command_id}",
    answers=CommandInfo,
    errors=(ProcessNotFound,),
)
def get_session_command(backend: ProcessBackend, session_id: str, command_id: str) -> Answer:
    """Show a command of a session."""
    command = backend.sessions.get(session_id).command(command_id)
    return Answer(command.info(), headers=describe_end(command, 0))


@group.post(
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
def send_input(
    backend: ProcessBackend, session_id: str, command_id: str, body: InputRequest
) -> None:
    """Write a line to the standard input of a command that was started with ``runAsync``."""
    backend.sessions.send_input(session_id, command_id, body.data)


@group.get(
    "/process/session/{session_id}/command/{command_id}/logs",
    answers=Logs,
    errors=(ProcessNotFound,),
)
def get_session_command_logs(
    backend: ProcessBackend, session_id: str, command_id: str, headers: ClientHeaders
) -> Any:
    """Show the output of a command so far."""
    command = backend.sessions.get(session_id).command(command_id)
    return render(command, http_dialect(headers), backend.max_result)


@group.websocket(
    "/process/session/{session_id}/command/{command_id}/logs", errors=(ProcessNotFound,)
)
def follow_session_command_logs(
    backend: ProcessBackend,
    session_id: str,
    command_id: str,
    query: LogQuery,
    headers: ClientHeaders,
) -> LogFollower:
    """Follow the output of a command from its beginning to its end."""
    command = backend.sessions.get(session_id).command(command_id)
    return LogFollower(command, socket_dialect(headers), query.follow == "true")


@group.get("/process/session/entrypoint/logs", answers=Logs, errors=(ProcessNotFound,))
def get_entrypoint_logs(backend: ProcessBackend, headers: ClientHeaders) -> Any:
    """Show the output of the program the service was told to run."""
    dialect = http_dialect(headers)
    marked = dialect if dialect is Dialect.JSON else Dialect.MARKED
    return render(backend.sessions.entrypoint(), marked, backend.max_result)


@group.websocket("/process/session/entrypoint/logs", errors=(ProcessNotFound,))
def follow_entrypoint_logs(backend: ProcessBackend, query: LogQuery) -> LogFollower:
    """Follow the output of the program the service was told to run."""
    return LogFollower(backend.sessions.entrypoint(), Dialect.MARKED, query.follow == "true")

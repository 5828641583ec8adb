"""The nine operations of the remote runtime.

Exceptions for the client to raise again are responses with the status 511.
"""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.errors import NotSupported
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import TextResponse
from toolbox_swerex.backend import Runtime
from toolbox_swerex.errors import STATUS
from toolbox_swerex.models import ROOT
from toolbox_swerex.models import BashAction
from toolbox_swerex.models import BashInterrupt
from toolbox_swerex.models import Closed
from toolbox_swerex.models import CloseSession
from toolbox_swerex.models import Command
from toolbox_swerex.models import CommandResult
from toolbox_swerex.models import Created
from toolbox_swerex.models import CreateSession
from toolbox_swerex.models import Done
from toolbox_swerex.models import FileContent
from toolbox_swerex.models import Greeting
from toolbox_swerex.models import IsAlive
from toolbox_swerex.models import Observation
from toolbox_swerex.models import ReadFile
from toolbox_swerex.models import RequestHeaders
from toolbox_swerex.models import WriteFile

operations = Operations()

ERRORS: tuple[type[ToolboxError], ...] = (InvalidBody, NotSupported, Unavailable)


@operations.get(f"{ROOT}/")
def swerex_root(backend: Runtime) -> Greeting:
    """Greet the client."""
    return Greeting()


@operations.get(f"{ROOT}/is_alive", monitoring=True)
def swerex_is_alive(backend: Runtime) -> IsAlive:
    """Report that the runtime serves."""
    return IsAlive()


@operations.post(f"{ROOT}/create_session", returns=Created, errors=ERRORS, other_statuses=(STATUS,))
def swerex_create_session(
    backend: Runtime, body: CreateSession, headers: RequestHeaders, request: RequestInfo
) -> TextResponse:
    """Start a bash that keeps its state."""
    return backend.once(
        request,
        headers.request_id,
        lambda is_gone: backend.create_session(body, is_gone),
    )


@operations.post(
    f"{ROOT}/run_in_session", returns=Observation, errors=ERRORS, other_statuses=(STATUS,)
)
def swerex_run_in_session(
    backend: Runtime,
    body: BashAction | BashInterrupt,
    headers: RequestHeaders,
    request: RequestInfo,
) -> TextResponse:
    """Run a command in a session, send input to the one that runs, or interrupt it."""
    return backend.once(
        request, headers.request_id, lambda is_gone: backend.run_in_session(body, is_gone)
    )


@operations.post(f"{ROOT}/close_session", returns=Closed, errors=ERRORS, other_statuses=(STATUS,))
def swerex_close_session(
    backend: Runtime, body: CloseSession, headers: RequestHeaders, request: RequestInfo
) -> TextResponse:
    """End a session and everything it has started."""
    return backend.once(
        request,
        headers.request_id,
        lambda _: backend.close_session(body.session),
    )


@operations.post(f"{ROOT}/execute", returns=CommandResult, errors=ERRORS, other_statuses=(STATUS,))
def swerex_execute(
    backend: Runtime, body: Command, headers: RequestHeaders, request: RequestInfo
) -> TextResponse:
    """Run a command outside of all sessions and wait for its end."""
    return backend.once(request, headers.request_id, lambda is_gone: backend.execute(body, is_gone))


@operations.post(f"{ROOT}/read_file", returns=FileContent, errors=ERRORS, other_statuses=(STATUS,))
def swerex_read_file(
    backend: Runtime, body: ReadFile, headers: RequestHeaders, request: RequestInfo
) -> TextResponse:
    """Read a file as text."""
    return backend.once(request, headers.request_id, lambda _: backend.read_file(body))


@operations.post(f"{ROOT}/write_file", returns=Done, errors=ERRORS, other_statuses=(STATUS,))
def swerex_write_file(
    backend: Runtime, body: WriteFile, headers: RequestHeaders, request: RequestInfo
) -> TextResponse:
    """Write a file; missing directories are created."""
    return backend.once(request, headers.request_id, lambda _: backend.write_file(body))


@operations.post(
    f"{ROOT}/upload", returns=Done, errors=(BadRequest, *ERRORS), other_statuses=(STATUS,)
)
def swerex_upload(backend: Runtime, request: RequestInfo, body: Body) -> TextResponse:
    """Store the multipart field ``file`` at ``target_path``, unpacked with ``unzip=true``."""
    return backend.once(request, "", lambda _: backend.upload(body))


@operations.post(f"{ROOT}/close", returns=Done, errors=ERRORS)
def swerex_close(backend: Runtime, headers: RequestHeaders, request: RequestInfo) -> TextResponse:
    """End all sessions."""
    return backend.once(request, headers.request_id, lambda _: backend.close_all())

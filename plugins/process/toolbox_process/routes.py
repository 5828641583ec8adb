"""The operations for commands and code."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_process.backend import ProcessBackend
from toolbox_process.errors import ExecutionTimeout
from toolbox_process.errors import TooManyWaiting
from toolbox_process.models import CodeRunRequest
from toolbox_process.models import CodeRunResponse
from toolbox_process.models import ExecuteRequest
from toolbox_process.models import ExecuteResponse
from toolbox_process.models import RunHeaders
from toolbox_process.settings import ProcessSettings

group = Group(
    "process",
    backend=ProcessBackend,
    default_backend="local",
    settings=ProcessSettings,
    summary="Commands, code, sessions, terminals and interpreters",
)


@group.post(
    "/process/execute",
    answers=ExecuteResponse,
    errors=(BadRequest, InvalidBody, ExecutionTimeout, TooManyWaiting),
)
def execute_command(
    backend: ProcessBackend, body: ExecuteRequest, headers: RunHeaders, request: RequestInfo
) -> Answer | StreamAnswer:
    """Run a command in the shell and wait for its end."""
    return backend.execute(body, request.client_gone, headers.separate)


@group.post(
    "/process/code-run",
    answers=CodeRunResponse,
    errors=(BadRequest, InvalidBody, ExecutionTimeout, TooManyWaiting),
)
def code_run(
    backend: ProcessBackend, body: CodeRunRequest, headers: RunHeaders, request: RequestInfo
) -> Answer | StreamAnswer:
    """Run a Python, JavaScript or TypeScript program and wait for its end."""
    return backend.run_code(body, request.client_gone, headers.separate)

"""The operations for commands and code."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox.response import StreamResponse
from toolbox_process.commands.models import CodeRunRequest
from toolbox_process.commands.models import CodeRunResponse
from toolbox_process.commands.models import ExecuteRequest
from toolbox_process.commands.models import ExecuteResponse
from toolbox_process.commands.models import RunHeaders
from toolbox_process.commands.protocol import HasCommands
from toolbox_process.commands.responses import code_run_response
from toolbox_process.commands.responses import execute_response
from toolbox_process.commands.responses import not_started
from toolbox_process.errors import ExecutionTimeout
from toolbox_process.errors import SpawnFailed
from toolbox_process.errors import TooManyWaiting
from toolbox_process.wire.preview import parse_preview

operations = Operations()


@operations.post(
    "/process/execute",
    returns=ExecuteResponse,
    errors=(BadRequest, InvalidBody, ExecutionTimeout, TooManyWaiting),
)
def execute_command(
    backend: HasCommands, body: ExecuteRequest, headers: RunHeaders, request: RequestInfo
) -> JsonResponse | StreamResponse:
    """Run a command in the shell and wait for its end."""
    preview = parse_preview(headers.preview or "")
    run = backend.commands.execute(body, request.is_disconnected, headers.separate)
    try:
        with run as finished:
            return execute_response(finished, headers.separate, backend.max_result, preview)
    except SpawnFailed as error:
        return not_started(ExecuteResponse, error)


@operations.post(
    "/process/code-run",
    returns=CodeRunResponse,
    errors=(BadRequest, InvalidBody, ExecutionTimeout, TooManyWaiting),
)
def code_run(
    backend: HasCommands, body: CodeRunRequest, headers: RunHeaders, request: RequestInfo
) -> JsonResponse | StreamResponse:
    """Run a Python, JavaScript or TypeScript program and wait for its end."""
    preview = parse_preview(headers.preview or "")
    run = backend.commands.run_code(body, request.is_disconnected, headers.separate)
    try:
        with run as finished:
            return code_run_response(finished, headers.separate, backend.max_result, preview)
    except SpawnFailed as error:
        return not_started(CodeRunResponse, error)

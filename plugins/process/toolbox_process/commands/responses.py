"""Responses for commands and code that have ended."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from toolbox.response import JsonResponse
from toolbox.response import StreamResponse
from toolbox_process.commands.models import Artifacts
from toolbox_process.commands.models import CodeRunResponse
from toolbox_process.commands.models import ExecuteResponse
from toolbox_process.commands.protocol import Finished
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.errors import END_REASON
from toolbox_process.errors import SpawnFailed
from toolbox_process.wire.headers import end_headers
from toolbox_process.wire.headers import note_headers
from toolbox_process.wire.headers import output_path
from toolbox_process.wire.long_json import long_json_response
from toolbox_process.wire.preview import Preview
from toolbox_process.wire.preview import preview_headers
from toolbox_process.wire.preview import shortened

NOT_STARTED = -1
"""The exit code of a command that could not be started."""

SPAWN_FAILED = {END_REASON: Reason.SPAWN_FAILED.value}


def not_started(
    kind: type[ExecuteResponse] | type[CodeRunResponse], error: SpawnFailed
) -> JsonResponse:
    """Return the response for a command that could not be started, which is not an HTTP error."""
    return JsonResponse(kind(exit_code=NOT_STARTED, result=error.message), headers=SPAWN_FAILED)


def execute_response(
    finished: Finished, separate: bool, limit: int, preview: Preview | None = None
) -> JsonResponse | StreamResponse:
    """Return the response for a command, each stream within ``limit`` bytes."""
    return _response(ExecuteResponse, finished, separate, limit, preview)


def code_run_response(
    finished: Finished, separate: bool, limit: int, preview: Preview | None = None
) -> JsonResponse | StreamResponse:
    """Return the response for a program, with its charts."""
    artifacts = Artifacts(finished.charts) if finished.charts else UNSET
    return _response(CodeRunResponse, finished, separate, limit, preview, artifacts=artifacts)


def _response(
    kind: type[ExecuteResponse] | type[CodeRunResponse],
    finished: Finished,
    separate: bool,
    limit: int,
    preview: Preview | None,
    **others: Any,
) -> JsonResponse | StreamResponse:
    job = finished.job
    # None selects both streams, in the order they came.
    streams = {"result": None, **({"stdout": OUT, "stderr": ERR} if separate else {})}
    where = output_path(job.id)
    texts = {
        name: shortened(job.spool, stream, limit, preview, where)
        for name, stream in streams.items()
    }
    headers = {**end_headers(job, texts["result"].dropped), **note_headers(finished.note)}
    headers |= preview_headers(job.spool, preview, where, separate)
    return long_json_response(
        kind, job.spool, headers, {**texts}, exit_code=job.exit_code, **others
    )

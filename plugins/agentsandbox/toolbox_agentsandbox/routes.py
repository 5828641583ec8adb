"""The operations of the Python runtime: commands, and files by path."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime

from toolbox.atomic.writing import write_all
from toolbox.errors import BadRequest
from toolbox.errors import Forbidden
from toolbox.errors import InvalidBody
from toolbox.errors import NotFound
from toolbox.errors import NotSupported
from toolbox.errors import ToolboxError
from toolbox.group import Operations
from toolbox.multipart import read_parts
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import FileResponse
from toolbox_agentsandbox.backend import Runtime
from toolbox_agentsandbox.engines import FileInfo
from toolbox_agentsandbox.models import ROOT
from toolbox_agentsandbox.models import Entry
from toolbox_agentsandbox.models import ExecuteRequest
from toolbox_agentsandbox.models import ExecutionResult
from toolbox_agentsandbox.models import Existence
from toolbox_agentsandbox.models import Health
from toolbox_agentsandbox.models import Message

operations = Operations()

ERRORS: tuple[type[ToolboxError], ...] = (BadRequest, Forbidden, NotFound, NotSupported)


@operations.get(f"{ROOT}/", public=True, monitoring=True)
def runtime_health(backend: object) -> Health:
    """Report that the runtime serves. Needs no token."""
    return Health()


@operations.post(f"{ROOT}/execute", errors=(InvalidBody, NotSupported))
def runtime_execute(
    backend: Runtime, body: ExecuteRequest, request: RequestInfo
) -> ExecutionResult:
    """Run a command in the shell and wait for its end."""
    return backend.execute(body, request.is_disconnected)


@operations.post(f"{ROOT}/upload", errors=ERRORS)
def runtime_upload(backend: Runtime, body: Body) -> Message:
    """Store the multipart field ``file``, whose file name is the path."""
    path = None
    # The file is replaced once the body has ended well.
    with ExitStack() as opened:
        for part in read_parts(body):
            if part.name != "file":
                continue
            if path is not None or part.filename is None:
                raise BadRequest("the body needs one multipart field 'file' with a file name")
            path = part.filename
            file = opened.enter_context(backend.writing(path))
            for chunk in part:
                write_all(file, chunk)
    if path is None:
        raise BadRequest("the multipart field 'file' is missing")
    return Message(message=f"{path} was uploaded")


@operations.get(
    f"{ROOT}/download/{{path:path}}", errors=ERRORS, content_type="application/octet-stream"
)
def runtime_download(backend: Runtime, path: str) -> FileResponse:
    """Send a file."""
    return FileResponse(backend.open(path))


@operations.get(f"{ROOT}/list/{{path:path}}", errors=ERRORS)
def runtime_list(backend: Runtime, path: str) -> list[Entry]:
    """List a directory."""
    return [_entry(info) for info in backend.list(path)]


@operations.get(f"{ROOT}/exists/{{path:path}}", errors=ERRORS)
def runtime_exists(backend: Runtime, path: str) -> Existence:
    """Report whether there is a file or directory."""
    try:
        backend.info(path)
    except NotFound:
        return Existence(path=path, exists=False)
    return Existence(path=path, exists=True)


def _entry(info: FileInfo) -> Entry:
    return Entry(
        name=info.name,
        size=info.size,
        type="directory" if info.is_dir else "file",
        mod_time=datetime.fromisoformat(info.modified_at).timestamp(),
    )

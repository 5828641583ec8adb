"""The operations of KEP-539.2: files by their URL, health and metadata."""

from __future__ import annotations

from typing import Literal

from toolbox.atomic.writing import write_all
from toolbox.errors import Conflict
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.response import FileResponse
from toolbox.response import JsonResponse
from toolbox_agentsandbox.backend import Runtime
from toolbox_agentsandbox.engines import FileInfo
from toolbox_agentsandbox.models import ROOT
from toolbox_agentsandbox.models import DeleteQuery
from toolbox_agentsandbox.models import FileEntry
from toolbox_agentsandbox.models import Health
from toolbox_agentsandbox.models import Listing
from toolbox_agentsandbox.models import Metadata
from toolbox_agentsandbox.routes import ERRORS

operations = Operations()

FILES = f"{ROOT}/v1/files/{{path:path}}"


@operations.get(f"{ROOT}/v1/health", public=True, monitoring=True)
def v1_health(backend: object) -> Health:
    """Report that the runtime serves. Needs no token."""
    return Health()


@operations.get(f"{ROOT}/v1/metadata")
def v1_metadata(backend: Runtime) -> Metadata:
    """Return the runtime's name, version and root."""
    return backend.metadata()


@operations.get(FILES, errors=ERRORS, returns=Listing)
def v1_read(backend: Runtime, path: str) -> FileResponse | JsonResponse:
    """Send a file, or list a directory. HEAD reports whether there is one."""
    if not backend.info(path).is_dir:
        return FileResponse(backend.open(path))
    entries = [_entry(info) for info in backend.list(path)]
    return JsonResponse(Listing(path=path, entries=entries))


@operations.put(FILES, errors=ERRORS, status=204)
def v1_write(backend: Runtime, path: str, body: Body) -> None:
    """Replace a file by the body; missing directories are created."""
    with backend.writing(path) as file:
        for chunk in body:
            write_all(file, memoryview(chunk))


@operations.delete(FILES, errors=(*ERRORS, Conflict), status=204)
def v1_delete(backend: Runtime, path: str, query: DeleteQuery) -> None:
    """Delete a file or directory; one that isn't empty needs ``recursive=true``, or is a 409."""
    backend.delete(path, query.recursive)


def _entry(info: FileInfo) -> FileEntry:
    kind: Literal["file", "directory", "other"] = "directory" if info.is_dir else "file"
    if not info.is_dir and not info.mode.startswith("-"):
        kind = "other"
    return FileEntry(
        name=info.name,
        size=info.size,
        type=kind,
        mode=info.permissions,
        modified_at=info.modified_at,
    )

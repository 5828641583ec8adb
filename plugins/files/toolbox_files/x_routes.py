"""The file operations beyond the Daytona API, under ``/x/files``.

Archives and searches of projects have their own modules.
"""

from __future__ import annotations

from toolbox.errors import Conflict
from toolbox.errors import ContentTooLarge
from toolbox.errors import NotSupported
from toolbox.errors import PreconditionFailed
from toolbox.errors import Unavailable
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.response import JsonResponse
from toolbox.sockets.handler import SocketHandler
from toolbox_files.backend import FilesBackend
from toolbox_files.backend import ResumableUpload
from toolbox_files.conditions import Conditions
from toolbox_files.errors import BinaryFile
from toolbox_files.errors import ChecksumMismatch
from toolbox_files.errors import EditMismatch
from toolbox_files.errors import WrongOffset
from toolbox_files.models import Edited
from toolbox_files.models import EditRequest
from toolbox_files.models import UploadEnd
from toolbox_files.models import UploadHeaders
from toolbox_files.models import UploadQuery
from toolbox_files.models import UploadState
from toolbox_files.models import WatchQuery
from toolbox_files.routes import READ_ERRORS
from toolbox_files.routes import WRITE_ERRORS
from toolbox_files.text import edits
from toolbox_files.write.bodies import receive_raw

operations = Operations()


@operations.get("/x/files/upload", returns=UploadState, errors=WRITE_ERRORS)
def get_upload_offset(backend: FilesBackend, query: UploadQuery) -> JsonResponse:
    """Return the progress of a resumable upload, also in the header ``Upload-Offset``.

    ``Upload-Limit`` has the seconds after its last piece at which it expires.
    """
    upload = backend.partial_upload(query.path, query.id)
    return _state(upload, UploadState(upload.offset()))


@operations.patch(
    "/x/files/upload",
    returns=UploadState,
    errors=(WrongOffset, ChecksumMismatch, PreconditionFailed, *WRITE_ERRORS),
)
def append_to_upload(
    backend: FilesBackend, query: UploadEnd, headers: UploadHeaders, body: Body
) -> JsonResponse:
    """Append to a resumable upload; with ``Upload-Complete: ?1`` replace the target with it.

    The bytes of a piece that arrived before a broken connection are kept. The target changes only
    once the upload is complete and matches its SHA-256, if that is given.
    """
    upload = backend.partial_upload(query.path, query.id)
    with upload.appending(headers.offset) as file:
        # The file keeps what was written even if receiving raises.
        offset = headers.offset + receive_raw(body, file)
    if complete := headers.complete == "?1":
        upload.complete(query.sha256, headers.conditions)
    return _state(upload, UploadState(offset, complete))


def _state(upload: ResumableUpload, state: UploadState) -> JsonResponse:
    headers = {"Upload-Offset": str(state.offset)}
    if upload.max_age:
        headers["Upload-Limit"] = f"max-age={upload.max_age}"
    return JsonResponse(state, headers=headers)


@operations.delete("/x/files/upload", status=204, errors=WRITE_ERRORS)
def cancel_upload(backend: FilesBackend, query: UploadQuery) -> None:
    """Delete the received content of a resumable upload."""
    backend.partial_upload(query.path, query.id).cancel()


@operations.post(
    "/x/files/edit",
    returns=Edited,
    errors=(EditMismatch, BinaryFile, PreconditionFailed, ContentTooLarge, *WRITE_ERRORS),
)
def edit_file(backend: FilesBackend, headers: Conditions, body: EditRequest) -> JsonResponse:
    """Edit a text file: apply all edits or none.

    A text is replaced only if it occurs exactly ``count`` times, once by default; the error lists
    the lines where it occurs. ``If-Match`` is honored, and a concurrent change of the file is 412.
    The response's ``ETag`` is that of the new file.
    """
    lines = edits.edit_file(backend, body.path, body.edits, headers)
    return JsonResponse(Edited(lines), headers={"ETag": backend.etag(body.path)})


@operations.websocket("/x/files/watch", errors=(Conflict, NotSupported, Unavailable, *READ_ERRORS))
def watch_files(backend: FilesBackend, query: WatchQuery) -> SocketHandler:
    """Send the changes in a directory: each message is a JSON list of changes.

    ``event`` is ``created``, ``modified``, ``attributes``, ``deleted`` or ``overflow`` (changes
    were lost). A rename is ``deleted`` and ``created`` with the same ``cookie``; a file that was
    uploaded or edited is ``created`` once it is complete, or ``modified`` if it has hard links.
    With ``recursive`` directories created later are watched, too; their entries may be reported
    twice.
    """
    return backend.watch(query.path, query.recursive, query.force)

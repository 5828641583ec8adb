"""The file operations beyond the Daytona API, under ``/x/files``; see also :mod:`.archiving` and
:mod:`.projects`.
"""

from __future__ import annotations

from toolbox.errors import Conflict
from toolbox.errors import ContentTooLarge
from toolbox.errors import NotImplemented_
from toolbox.errors import PreconditionFailed
from toolbox.errors import Unavailable
from toolbox.handler import SocketHandler
from toolbox.request import Body
from toolbox.response import Answer
from toolbox_files import editing
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
from toolbox_files.routes import group
from toolbox_files.uploading import receive_raw


@group.get("/x/files/upload", answers=UploadState, errors=WRITE_ERRORS)
def get_upload_offset(backend: FilesBackend, query: UploadQuery) -> Answer:
    """Tell how much of a resumable upload has arrived, also in the header Upload-Offset.

    ``Upload-Limit`` tells after how many seconds without a piece it is forgotten.
    """
    upload = backend.partial_upload(query.path, query.id)
    return _state(upload, UploadState(upload.offset()))


@group.patch(
    "/x/files/upload",
    answers=UploadState,
    errors=(WrongOffset, ChecksumMismatch, PreconditionFailed, *WRITE_ERRORS),
)
def append_to_upload(
    backend: FilesBackend, query: UploadEnd, headers: UploadHeaders, body: Body
) -> Answer:
    """Append to a resumable upload; with ``Upload-Complete: ?1`` the file takes its place.

    What arrives of a piece is kept if the connection breaks. Nothing is seen of the file before it
    is complete and, if given, its SHA-256 is right.
    """
    upload = backend.partial_upload(query.path, query.id)
    with upload.appending(headers.offset) as file:
        offset = headers.offset + receive_raw(body, file)
    if complete := headers.complete == "?1":
        upload.complete(query.sha256, headers.conditions)
    return _state(upload, UploadState(offset, complete))


def _state(upload: ResumableUpload, state: UploadState) -> Answer:
    headers = {"Upload-Offset": str(state.offset)}
    if upload.max_age:
        headers["Upload-Limit"] = f"max-age={upload.max_age}"
    return Answer(state, headers=headers)


@group.delete("/x/files/upload", status=204, errors=WRITE_ERRORS)
def cancel_upload(backend: FilesBackend, query: UploadQuery) -> None:
    """Forget what has arrived of a resumable upload."""
    backend.partial_upload(query.path, query.id).cancel()


@group.post(
    "/x/files/edit",
    answers=Edited,
    errors=(EditMismatch, BinaryFile, PreconditionFailed, ContentTooLarge, *WRITE_ERRORS),
)
def edit_file(backend: FilesBackend, headers: Conditions, body: EditRequest) -> Answer:
    """Edit a text file, all or nothing.

    A text is replaced only if it occurs as often as expected, once unless ``count`` says
    otherwise; the error tells where it occurs. ``If-Match`` is honoured, and a change by somebody
    else meanwhile is 412. The answer's ``ETag`` is that of the new file.
    """
    lines = editing.edit_file(backend, body.path, body.edits, headers)
    return Answer(Edited(lines), headers={"ETag": backend.etag(body.path)})


@group.websocket("/x/files/watch", errors=(Conflict, NotImplemented_, Unavailable, *READ_ERRORS))
def watch_files(backend: FilesBackend, query: WatchQuery) -> SocketHandler:
    """Tell what changes in a directory: each message is a JSON list of changes.

    ``event`` is ``created``, ``modified``, ``attributes``, ``deleted`` or ``overflow``: some were
    lost. Renaming is ``deleted`` and ``created`` with the same ``cookie``; a file that was uploaded
    or edited is ``created`` once it is complete, or ``modified`` if it has several names. With
    ``recursive`` directories that come later are watched, too; what is in them may be told twice.
    """
    return backend.watch(query.path, query.recursive, query.force)

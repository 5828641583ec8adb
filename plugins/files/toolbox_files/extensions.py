"""The file operations beyond the Daytona API, all under ``/x/files``."""

from __future__ import annotations

import errno
from collections.abc import Callable
from collections.abc import Iterator

from toolbox.errors import Conflict
from toolbox.errors import ContentTooLarge
from toolbox.errors import NotImplemented_
from toolbox.errors import PreconditionFailed
from toolbox.errors import Unavailable
from toolbox.handler import SocketHandler
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_files import editing
from toolbox_files.backend import FilesBackend
from toolbox_files.backend import ResumableUpload
from toolbox_files.conditions import Conditions
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import BinaryFile
from toolbox_files.errors import ChecksumMismatch
from toolbox_files.errors import EditMismatch
from toolbox_files.errors import InvalidArchive
from toolbox_files.errors import WrongOffset
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import ArchiveQuery
from toolbox_files.models import Edited
from toolbox_files.models import EditRequest
from toolbox_files.models import Unpacked
from toolbox_files.models import UnpackQuery
from toolbox_files.models import UploadEnd
from toolbox_files.models import UploadHeaders
from toolbox_files.models import UploadQuery
from toolbox_files.models import UploadState
from toolbox_files.models import WatchQuery
from toolbox_files.routes import READ_ERRORS
from toolbox_files.routes import WRITE_ERRORS
from toolbox_files.routes import group as group
from toolbox_files.uploading import receive_raw

ARCHIVE_TYPES: dict[ArchiveFormat, str] = {
    "tar": "application/x-tar",
    "tar.gz": "application/gzip",
    "tar.zst": "application/zstd",
}


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


@group.get("/x/files/archive", errors=READ_ERRORS)
def download_archive(
    backend: FilesBackend, query: ArchiveQuery, request: RequestInfo
) -> StreamAnswer:
    """Send a directory as tar, names relative to it, compressed as ``format`` says.

    Sockets, FIFOs and devices are left out. A file that changes meanwhile has the size it had at
    first, with zeros for what is missing; what has gone or can't be read is left out. If there is
    anything of that, a last member ``.`` tells it in its PAX header ``comment``.
    """
    name = f"{backend.info(query.path).name.strip('/.') or 'files'}.{query.format}"
    return StreamAnswer(
        _while_wanted(backend.pack(query.path, query.format), request.client_gone),
        ARCHIVE_TYPES[query.format],
        headers={"Content-Disposition": content_disposition("attachment", name)},
    )


def _while_wanted(blocks: Iterator[bytes], gone: Callable[[], bool]) -> Iterator[bytes]:
    """The same without those that are empty; it ends if the client has gone by then."""
    for block in blocks:
        if block:
            yield block
        elif gone():
            raise BrokenPipeError(errno.EPIPE, "the client has gone; the archive was ended")


@group.put("/x/files/archive", errors=(InvalidArchive, *WRITE_ERRORS))
def upload_archive(
    backend: FilesBackend, query: UnpackQuery, body: Body, request: RequestInfo
) -> Unpacked:
    """Unpack a tar into a directory, which is made; gzip, zstd, xz and bzip2 are recognised.

    Refused are members that would land outside, FIFOs, devices, and links that lead outside;
    ``outside_links`` allows symbolic ones. What is there already is replaced, also a link, and
    never written through. Set-id bits are not kept. What is unpacked when it fails stays, each
    file of it whole.
    """
    with backend.unpack(query.path, query.outside_links, request.client_gone) as archive:
        receive_raw(body, archive)
        return Unpacked(archive.finish())


@group.websocket("/x/files/watch", errors=(Conflict, NotImplemented_, Unavailable, *READ_ERRORS))
def watch_files(backend: FilesBackend, query: WatchQuery) -> SocketHandler:
    """Tell what changes in a directory: each message is a JSON list of changes.

    ``event`` is ``created``, ``modified``, ``attributes``, ``deleted`` or ``overflow``: some were
    lost. Renaming is ``deleted`` and ``created`` with the same ``cookie``; a file that was uploaded
    or edited is ``created`` once it is complete, or ``modified`` if it has several names. With
    ``recursive`` directories that come later are watched, too; what is in them may be told twice.
    """
    return backend.watch(query.path, query.recursive, query.force)

"""The file operations."""

from __future__ import annotations

from toolbox.clients import encoder
from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import InsufficientStorage
from toolbox.errors import PreconditionFailed
from toolbox.group import Group
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox.response import FileAnswer
from toolbox.response import MultipartAnswer
from toolbox.response import StreamAnswer
from toolbox_files import replacing
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import FileAccessDenied
from toolbox_files.errors import FileNotFound
from toolbox_files.errors import FileReadFailed
from toolbox_files.errors import InvalidFilePath
from toolbox_files.listing import list_answer
from toolbox_files.models import BulkUpload
from toolbox_files.models import DeleteQuery
from toolbox_files.models import DownloadHeaders
from toolbox_files.models import DownloadRequest
from toolbox_files.models import FileInfo
from toolbox_files.models import FolderQuery
from toolbox_files.models import FoundFiles
from toolbox_files.models import ListQuery
from toolbox_files.models import Match
from toolbox_files.models import Moved
from toolbox_files.models import MoveQuery
from toolbox_files.models import PathQuery
from toolbox_files.models import PermissionsQuery
from toolbox_files.models import ReplaceRequest
from toolbox_files.models import ReplaceResult
from toolbox_files.models import SearchOptions
from toolbox_files.models import UploadedFile
from toolbox_files.reading import read_many
from toolbox_files.reading import repr_digest
from toolbox_files.searching import json_answer
from toolbox_files.uploading import BulkReceiver
from toolbox_files.uploading import bulk_answer
from toolbox_files.uploading import receive_body
from toolbox_files.uploading import receive_field

group = Group(
    "files",
    backend=FilesBackend,
    default_backend="local",
    summary="List, read, write, search and change files",
)

READ_ERRORS = (InvalidFilePath, FileAccessDenied, FileNotFound, FileReadFailed)
WRITE_ERRORS = (InvalidFilePath, FileAccessDenied, FileNotFound, Conflict, InsufficientStorage)


@group.get("/files", answers=list[FileInfo], errors=READ_ERRORS, trailing_slash=True)
def list_files(
    backend: FilesBackend, query: ListQuery, request: RequestInfo
) -> list[FileInfo] | StreamAnswer:
    """List a directory, sorted by name.

    With ``depth`` also what is in its directories, each right before its content. Links are
    followed to describe what they point to, but linked directories aren't entered.
    """
    return list_answer(backend.list(query.path or ".", query.depth), encoder(request.environ))


@group.get("/files/info", errors=READ_ERRORS)
def get_file_info(backend: FilesBackend, query: PathQuery) -> FileInfo:
    """Describe one file or directory."""
    return backend.info(query.path)


@group.get("/files/download", errors=READ_ERRORS, signed=True)
def download_file(backend: FilesBackend, query: PathQuery, headers: DownloadHeaders) -> FileAnswer:
    """Send a file, whole or a range of it (RFC 9110: Range, If-Range, If-None-Match, If-Match).

    With ``Want-Repr-Digest: sha-256=1`` the answer's ``Repr-Digest`` is that of the whole file
    (RFC 9530), also with a range: what has come in pieces can be verified.
    """
    name = query.path.rpartition("/")[2]
    file = backend.open(query.path)
    return FileAnswer(
        file,
        headers={
            **repr_digest(file, headers.want_repr_digest),
            "Content-Description": "File Transfer",
            "Content-Transfer-Encoding": "binary",
            "Content-Disposition": content_disposition("attachment", name),
            "Expires": "0",
            "Cache-Control": "must-revalidate",
            "Pragma": "public",
        },
    )


@group.post("/files/bulk-download")
def download_files(backend: FilesBackend, body: DownloadRequest) -> MultipartAnswer:
    """Send several files as multipart/form-data.

    A part for each path, in order: named ``file`` with its content, or ``error`` with the error
    envelope. The status is 200 in any case.
    """
    return MultipartAnswer(read_many(body.paths, backend.open))


@group.post(
    "/files/upload-v2",
    answers=UploadedFile,
    errors=(PreconditionFailed, *WRITE_ERRORS),
    signed=True,
)
def upload_file(backend: FilesBackend, query: PathQuery, headers: Conditions, body: Body) -> Answer:
    """Store a file: the multipart field ``file``, or any other body as it is.

    Missing directories are made. The old file stays whole until the new one is complete, which gets
    its owner, mode and attributes; set-id bits and capabilities, too, where the kernel lets the
    service's user set them. The answer's ``ETag`` is that of the new file.
    """
    with backend.replace(query.path, headers) as file:
        receive_body(body, file)
    return Answer(backend.uploaded(query.path), headers={"ETag": backend.etag(query.path)})


@group.post("/files/upload", errors=WRITE_ERRORS)
def upload_file_multipart(backend: FilesBackend, query: PathQuery, body: Body) -> None:
    """Store the multipart field ``file``; for old clients, some of which can't read a body."""
    with backend.replace(query.path) as file:
        receive_field(body, file)


@group.post("/files/bulk-upload", answers=BulkUpload)
def upload_files(backend: FilesBackend, body: Body, request: RequestInfo) -> BulkUpload | Answer:
    """Store several files from one multipart stream, each as it arrives.

    Fields ``files[n].path`` and ``files[n].file``, the path before its file. If one fails the
    others are stored all the same, and the answer is 400 with ``errors``, or 507 if the disk or a
    quota is full.
    """
    receiver = BulkReceiver(backend.replace)
    receiver.receive(body)
    return bulk_answer(receiver, request)


@group.post("/files/folder", status=201, errors=(BadRequest, *WRITE_ERRORS))
def create_folder(backend: FilesBackend, query: FolderQuery) -> None:
    """Make a directory, and what is missing above it. One that is there stays as it is."""
    backend.make_folder(query.path, query.mode)


@group.delete("/files", status=204, errors=WRITE_ERRORS, trailing_slash=True)
def delete_file(backend: FilesBackend, query: DeleteQuery) -> None:
    """Delete a file, a link (not what it points to), or with ``recursive=true`` a directory."""
    backend.delete(query.path, query.recursive == "true")


@group.post("/files/move", answers=Moved, errors=WRITE_ERRORS)
def move_file(backend: FilesBackend, query: MoveQuery) -> Answer:
    """Rename or move a file or directory to a name that is not there yet."""
    error = backend.move(query.source, query.destination)
    remark = Moved("moved, but the source could not be deleted", error) if error else None
    return Answer(remark)


@group.post("/files/permissions", errors=(BadRequest, *WRITE_ERRORS))
def set_file_permissions(backend: FilesBackend, query: PermissionsQuery) -> None:
    """Change mode, owner and group, all or nothing."""
    backend.set_permissions(query.path, query.mode, query.owner, query.group)


@group.get("/files/search", answers=FoundFiles, errors=(InvalidFilePath,))
def search_files(backend: FilesBackend, query: SearchOptions, request: RequestInfo) -> StreamAnswer:
    """Find files and directories by name.

    ``pattern`` is a glob: ``*``, ``?``, ``[a-z]``, ``[^a-z]`` or ``[!a-z]``, ``\\``. Links aren't
    followed, nothing is ignored unless ``skip`` names it. With ``limit`` or ``seconds`` the header
    ``X-Truncated`` tells if there is more.
    """
    found = backend.search_names(query)
    return json_answer(found, query, request.client_gone, '{"files":', "}")


@group.get("/files/find", answers=list[Match], errors=(InvalidFilePath,))
def find_in_files(
    backend: FilesBackend, query: SearchOptions, request: RequestInfo
) -> StreamAnswer:
    """Find lines by a text in them, taken literally.

    Binary files (a NUL among the first 512 bytes) are left out. Of a line at most 1 MiB is told.
    For the rest see the search by name.
    """
    return json_answer(backend.search_lines(query), query, request.client_gone)


@group.post("/files/replace")
def replace_in_files(backend: FilesBackend, body: ReplaceRequest) -> list[ReplaceResult]:
    """Replace a text, taken literally, in several files; one result for each.

    Binary files (a NUL anywhere) that hold it are not changed, which their results tell.
    """
    old, new = body.pattern.encode(), body.new_value.encode()
    return replacing.replace_in_files(backend, body.files, old, new)

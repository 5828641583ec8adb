"""The file operations."""

from __future__ import annotations

from toolbox.errors import Conflict
from toolbox.errors import InsufficientStorage
from toolbox.group import Group
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox.response import FileAnswer
from toolbox.response import MultipartAnswer
from toolbox_files.backend import FilesBackend
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import FileAccessDenied
from toolbox_files.errors import FileNotFound
from toolbox_files.errors import FileReadFailed
from toolbox_files.errors import InvalidFilePath
from toolbox_files.models import BulkUpload
from toolbox_files.models import DownloadRequest
from toolbox_files.models import FileInfo
from toolbox_files.models import ListQuery
from toolbox_files.models import PathQuery
from toolbox_files.models import UploadedFile
from toolbox_files.reading import read_many
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


@group.get("/files", errors=READ_ERRORS, trailing_slash=True)
def list_files(backend: FilesBackend, query: ListQuery) -> list[FileInfo]:
    """List a directory, sorted by name.

    With ``depth`` also what is in its directories, each right before its content. Links are
    followed to describe what they point to, but linked directories aren't entered.
    """
    return backend.list(query.path or ".", query.depth)


@group.get("/files/info", errors=READ_ERRORS)
def get_file_info(backend: FilesBackend, query: PathQuery) -> FileInfo:
    """Describe one file or directory."""
    return backend.info(query.path)


@group.get("/files/download", errors=READ_ERRORS)
def download_file(backend: FilesBackend, query: PathQuery) -> FileAnswer:
    """Send a file, whole or a range of it (RFC 9110: Range, If-None-Match, If-Match)."""
    name = query.path.rpartition("/")[2]
    return FileAnswer(
        backend.open(query.path),
        headers={
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


@group.post("/files/upload-v2", errors=WRITE_ERRORS)
def upload_file(backend: FilesBackend, query: PathQuery, body: Body) -> UploadedFile:
    """Store a file: the multipart field ``file``, or any other body as it is.

    Missing directories are made. The old file stays whole until the new one is complete.
    """
    with backend.replace(query.path) as file:
        receive_body(body, file)
    return backend.uploaded(query.path)


@group.post("/files/upload", errors=WRITE_ERRORS)
def upload_file_multipart(backend: FilesBackend, query: PathQuery, body: Body) -> UploadedFile:
    """Store the multipart field ``file``; for old clients."""
    with backend.replace(query.path) as file:
        receive_field(body, file)
    return backend.uploaded(query.path)


@group.post("/files/bulk-upload")
def upload_files(backend: FilesBackend, body: Body, request: RequestInfo) -> BulkUpload | Answer:
    """Store several files from one multipart stream, each as it arrives.

    Fields ``files[n].path`` and ``files[n].file``, the path before its file. If one fails the
    others are stored all the same, and the answer is 400 with ``errors``, or 507 if the disk or a
    quota is full.
    """
    receiver = BulkReceiver(backend.replace)
    receiver.receive(body)
    return bulk_answer(receiver, request)

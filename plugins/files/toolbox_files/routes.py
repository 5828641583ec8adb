"""The file operations of the Daytona API."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import InsufficientStorage
from toolbox.errors import PreconditionFailed
from toolbox.group import Operations
from toolbox.http.client_versions import encoder
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import FileResponse
from toolbox.response import JsonResponse
from toolbox.response import MultipartResponse
from toolbox.response import StreamResponse
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions
from toolbox_files.errors import FileAccessDenied
from toolbox_files.errors import FileNotFound
from toolbox_files.errors import FileReadFailed
from toolbox_files.errors import InvalidFilePath
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
from toolbox_files.read.bulk import read_many
from toolbox_files.read.digest import repr_digest
from toolbox_files.read.disposition import content_disposition
from toolbox_files.read.listing import list_response
from toolbox_files.search.response import search_response
from toolbox_files.text import bulk_replace
from toolbox_files.write.bodies import receive_body
from toolbox_files.write.bodies import receive_field
from toolbox_files.write.bulk import receive_bulk

operations = Operations()

READ_ERRORS = (InvalidFilePath, FileAccessDenied, FileNotFound, FileReadFailed)
WRITE_ERRORS = (InvalidFilePath, FileAccessDenied, FileNotFound, Conflict, InsufficientStorage)


@operations.get("/files", returns=list[FileInfo], errors=READ_ERRORS, trailing_slash=True)
def list_files(
    backend: FilesBackend, query: ListQuery, request: RequestInfo
) -> list[FileInfo] | StreamResponse:
    """List a directory, sorted by name.

    ``depth`` adds the entries of its directories, each directory right before its entries. The
    metadata of a link is that of its target, but linked directories aren't entered.
    """
    # An empty path is the working directory.
    return list_response(backend.list(query.path or ".", query.depth), encoder(request.environ))


@operations.get("/files/info", errors=READ_ERRORS)
def get_file_info(backend: FilesBackend, query: PathQuery) -> FileInfo:
    """Return the metadata of a file or directory."""
    return backend.info(query.path)


@operations.get("/files/download", errors=READ_ERRORS, signed=True)
def download_file(
    backend: FilesBackend, query: PathQuery, headers: DownloadHeaders
) -> FileResponse:
    """Send a file or ranges of it (RFC 9110: Range, If-Range, If-None-Match, If-Match).

    With ``Want-Repr-Digest: sha-256=1`` the response's ``Repr-Digest`` is that of the whole file
    (RFC 9530), even for a range, so that a file received in pieces can be verified.
    """
    name = query.path.rpartition("/")[2]
    file = backend.open(query.path)
    return FileResponse(
        file,
        headers={
            **repr_digest(file, headers.want_repr_digest),
            # As the Daytona API has them.
            "Content-Description": "File Transfer",
            "Content-Transfer-Encoding": "binary",
            "Content-Disposition": content_disposition("attachment", name),
            "Expires": "0",
            "Cache-Control": "must-revalidate",
            "Pragma": "public",
        },
    )


@operations.post("/files/bulk-download")
def download_files(backend: FilesBackend, body: DownloadRequest) -> MultipartResponse:
    """Send several files as multipart/form-data.

    A part for each path, in order: named ``file`` with its content, or ``error`` with the error
    envelope. The status is 200 in any case.
    """
    return MultipartResponse(read_many(body.paths, backend.open))


@operations.post(
    "/files/upload-v2",
    returns=UploadedFile,
    errors=(PreconditionFailed, *WRITE_ERRORS),
    signed=True,
)
def upload_file(
    backend: FilesBackend, query: PathQuery, headers: Conditions, body: Body
) -> JsonResponse:
    """Store a file: the multipart field ``file``, or any other body unchanged.

    Missing directories are created. The new file replaces the old one atomically and gets its
    owner, mode and attributes, and set-id bits and capabilities where the kernel lets the
    service's user set them. The response's ``ETag`` is that of the new file.
    """
    with backend.writing(query.path, headers) as file:
        receive_body(body, file)
    return JsonResponse(
        backend.uploaded_file(query.path), headers={"ETag": backend.etag(query.path)}
    )


@operations.post("/files/upload", errors=WRITE_ERRORS)
def upload_file_multipart(backend: FilesBackend, query: PathQuery, body: Body) -> None:
    """Store the multipart field ``file``. For old clients: the response has no body."""
    with backend.writing(query.path) as file:
        receive_field(body, file)


@operations.post("/files/bulk-upload", returns=BulkUpload)
def upload_files(
    backend: FilesBackend, body: Body, request: RequestInfo
) -> BulkUpload | JsonResponse:
    """Store several files from one multipart stream, each as it arrives.

    Fields ``files[n].path`` and ``files[n].file``, the path before its file. If one fails the
    others are still stored, and the response is 400 with ``errors``, or 507 if the disk or a quota
    is full.
    """
    return receive_bulk(body, backend.writing, request)


@operations.post("/files/folder", status=201, errors=(BadRequest, *WRITE_ERRORS))
def create_folder(backend: FilesBackend, query: FolderQuery) -> None:
    """Make a directory and its missing parents. An existing one isn't changed."""
    backend.make_folder(query.path, query.mode)


@operations.delete("/files", status=204, errors=WRITE_ERRORS, trailing_slash=True)
def delete_file(backend: FilesBackend, query: DeleteQuery) -> None:
    """Delete a file, a link (not its target), or with ``recursive=true`` a directory."""
    backend.delete(query.path, query.recursive == "true")


@operations.post("/files/move", returns=Moved, errors=WRITE_ERRORS)
def move_file(backend: FilesBackend, query: MoveQuery) -> JsonResponse:
    """Rename or move a file or directory to a path that doesn't exist."""
    # A move whose source remains is a success with a body.
    error = backend.move(query.source, query.destination)
    message = "moved, but the source could not be deleted"
    return JsonResponse(Moved(message, error) if error else None)


@operations.post("/files/permissions", errors=(BadRequest, *WRITE_ERRORS))
def set_file_permissions(backend: FilesBackend, query: PermissionsQuery) -> None:
    """Change mode, owner and group, all or none of them."""
    backend.set_permissions(query.path, query.mode, query.owner, query.group)


@operations.get("/files/search", returns=FoundFiles, errors=(InvalidFilePath,))
def search_files(
    backend: FilesBackend, query: SearchOptions, request: RequestInfo
) -> StreamResponse:
    """Find files and directories by name.

    ``pattern`` is a glob: ``*``, ``?``, ``[a-z]``, ``[^a-z]`` or ``[!a-z]``, ``\\``. Links aren't
    followed, and nothing is ignored unless ``skip`` names it. If ``limit`` or ``seconds`` ended the
    search, the header ``X-Truncated`` is ``limit`` or ``time``.
    """
    results = backend.search_names(query)
    return search_response(results, query, request.is_disconnected, '{"files":', "}")


@operations.get("/files/find", returns=list[Match], errors=(InvalidFilePath,))
def find_in_files(
    backend: FilesBackend, query: SearchOptions, request: RequestInfo
) -> StreamResponse:
    """Find lines that contain a literal text.

    Binary files (a NUL among the first 512 bytes) are omitted. A line is cut after 1 MiB. For the
    rest see the search by name.
    """
    return search_response(backend.search_lines(query), query, request.is_disconnected)


@operations.post("/files/replace")
def replace_in_files(backend: FilesBackend, body: ReplaceRequest) -> list[ReplaceResult]:
    """Replace a literal text in several files; return one result for each.

    A binary file (a NUL anywhere) that contains it isn't changed; its result is an error.
    """
    old, new = body.pattern.encode(), body.new_value.encode()
    return bulk_replace.replace_in_files(backend, body.files, old, new)

"""Downloading and uploading directories as archives, under ``/x/files/archive``."""

from __future__ import annotations

import errno
from collections.abc import Callable
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.group import Operations
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox_files.backend import FilesBackend
from toolbox_files.errors import InvalidArchive
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import RequiredText
from toolbox_files.read.disposition import content_disposition
from toolbox_files.routes import READ_ERRORS
from toolbox_files.routes import WRITE_ERRORS
from toolbox_files.write.bodies import receive_raw

operations = Operations()

ARCHIVE_TYPES: dict[ArchiveFormat, str] = {
    "tar": "application/x-tar",
    "tar.gz": "application/gzip",
    "tar.zst": "application/zstd",
}


class ArchiveQuery(msgspec.Struct, frozen=True):
    """A directory and the format of its archive."""

    path: RequiredText
    format: ArchiveFormat = "tar.gz"


class UnpackQuery(msgspec.Struct, frozen=True):
    """The directory to unpack into, and whether symbolic links may lead out of it."""

    path: RequiredText
    outside_links: Annotated[
        bool,
        Meta(
            description="Also create symbolic links that lead outside, as in virtual environments; "
            "nothing is written through them."
        ),
    ] = False


class Unpacked(msgspec.Struct, frozen=True):
    """The number of members unpacked."""

    members: int


@operations.get("/x/files/archive", errors=READ_ERRORS)
def download_archive(
    backend: FilesBackend, query: ArchiveQuery, request: RequestInfo
) -> StreamResponse:
    """Send a directory as tar with relative names, compressed as ``format`` says.

    Sockets, FIFOs and devices are omitted, and so are files that can't be read. A file that
    shrinks while it is read is padded with zeros to its initial size. If any of this happened, a
    last member ``.`` lists it in its PAX header ``comment``.
    """
    # Also raises for a missing directory, while the response can still be an error.
    name = f"{backend.info(query.path).name.strip('/.') or 'files'}.{query.format}"
    return StreamResponse(
        _while_connected(backend.pack(query.path, query.format), request.is_disconnected),
        ARCHIVE_TYPES[query.format],
        headers={"Content-Disposition": content_disposition("attachment", name)},
    )


def _while_connected(blocks: Iterator[bytes], disconnected: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the blocks that aren't empty; at an empty one, check the client."""
    for block in blocks:
        if block:
            yield block
        elif disconnected():
            raise BrokenPipeError(errno.EPIPE, "client disconnected; the archive was aborted")


@operations.put("/x/files/archive", errors=(InvalidArchive, *WRITE_ERRORS))
def upload_archive(
    backend: FilesBackend, query: UnpackQuery, body: Body, request: RequestInfo
) -> Unpacked:
    """Unpack a tar into a directory, which is created; gzip, zstd, xz and bzip2 are recognized.

    Members that would be written outside, FIFOs, devices, and links that lead outside are refused;
    ``outside_links`` allows symbolic ones. An existing file or link is replaced, never written
    through. Set-id bits are not kept. Files unpacked before a failure are kept, each complete.
    """
    with backend.unpack(query.path, query.outside_links, request.is_disconnected) as archive:
        receive_raw(body, archive)
        return Unpacked(archive.finish())

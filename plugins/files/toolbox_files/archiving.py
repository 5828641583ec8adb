"""Directories as archives, under ``/x/files/archive``."""

from __future__ import annotations

import errno
from collections.abc import Callable
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import StreamAnswer
from toolbox_files.backend import FilesBackend
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import InvalidArchive
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import RequiredText
from toolbox_files.routes import READ_ERRORS
from toolbox_files.routes import WRITE_ERRORS
from toolbox_files.routes import group
from toolbox_files.uploading import receive_raw

ARCHIVE_TYPES: dict[ArchiveFormat, str] = {
    "tar": "application/x-tar",
    "tar.gz": "application/gzip",
    "tar.zst": "application/zstd",
}


class ArchiveQuery(msgspec.Struct, frozen=True):
    """The directory, and how its archive is made."""

    path: RequiredText
    format: ArchiveFormat = "tar.gz"


class UnpackQuery(msgspec.Struct, frozen=True):
    """The directory, and whether symbolic links in it may lead out of it."""

    path: RequiredText
    outside_links: Annotated[
        bool,
        Meta(
            description="Make symbolic links that lead outside, too, as virtual environments have "
            "them; nothing is written through them."
        ),
    ] = False


class Unpacked(msgspec.Struct, frozen=True):
    """What an archive held."""

    members: int


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

"""Contents of files: ``GET`` and ``POST /files``."""

from __future__ import annotations

import re

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import FileResponse
from toolbox_e2b.backend import E2bBackend
from toolbox_e2b.errors import ROOT
from toolbox_e2b.http.signatures import SCHEME
from toolbox_e2b.http.uploads import receive
from toolbox_e2b.users import check_user

operations = Operations()

METADATA = "x-metadata-"
"""The headers whose values are kept with a file."""


class FilesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A file, and the user that the request is for."""

    path: str = ""
    username: str = ""
    signature: str = ""
    signature_expiration: str = ""


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that was written."""

    name: str
    path: str
    type: str
    metadata: dict[str, str] = {}


@operations.get(
    f"{ROOT}/files",
    signed=SCHEME,
    errors=(BadRequest, Forbidden, NotFound),
    content_type="application/octet-stream",
)
def read_file(backend: E2bBackend, query: FilesQuery) -> FileResponse:
    """Read a file."""
    check_user(query.username)
    return FileResponse(backend.files.open(query.path))


@operations.post(f"{ROOT}/files", signed=SCHEME, errors=(BadRequest, Forbidden))
def write_files(
    backend: E2bBackend, query: FilesQuery, request: RequestInfo, body: Body
) -> list[WrittenFile]:
    """Write files: a raw body is one; the parts of a multipart body have their paths as names."""
    check_user(query.username)
    # Of the body as a whole: parts of a multipart body can't be compressed each.
    encoding = request.headers.get("Content-Encoding", "").lower()
    metadata = _metadata(request)
    files = backend.files
    paths = receive(files, body, query.path, encoding, metadata)
    written = [files.uploaded_file(path) for path in paths]
    return [
        WrittenFile(name=file.name, path=file.path, type="file", metadata=metadata)
        for file in written
    ]


def _metadata(request: RequestInfo) -> dict[str, str]:
    found = {}
    for name, value in request.headers.items():
        if name.lower().startswith(METADATA):
            # Proxies may change the case of names, so it can't mean anything.
            key = name.lower().removeprefix(METADATA)
            if not re.fullmatch("[!-~]{1,200}", key) or not value.isprintable():
                raise BadRequest(f"invalid metadata: {key[:64]!r}")
            found[key] = value
    return found

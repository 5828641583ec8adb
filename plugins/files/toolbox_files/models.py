"""What the file operations take and answer."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

RequiredText = Annotated[str, Meta(min_length=1)]


class FileInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One directory entry; symbolic links are followed."""

    name: str
    size: int
    """Bytes."""
    mode: str
    """Type letters and ``rwxrwxrwx`` as Go's ``FileMode`` writes them: ``drwxr-xr-x``."""
    mod_time: str
    """As Go's ``time.Time`` prints itself; for old clients."""
    modified_at: str
    """RFC 3339, up to nanoseconds."""
    is_dir: bool
    owner: str
    """User id, in decimal."""
    group: str
    """Group id, in decimal."""
    permissions: str
    """Four octal digits of the permission bits: ``0644``."""
    path: str
    """The full path."""


class PathQuery(msgspec.Struct, frozen=True):
    """The file meant; a relative path starts in the service's working directory."""

    path: RequiredText


class ListQuery(msgspec.Struct, frozen=True):
    """A directory and how many levels of it."""

    path: str = "."
    depth: Annotated[int, Meta(ge=1)] = 1


class DownloadRequest(msgspec.Struct, frozen=True):
    """The files to send."""

    paths: Annotated[list[str], Meta(min_length=1)]


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written."""

    name: str
    path: str
    """The full path."""
    type: str = "file"


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a bulk upload."""

    path: str
    """As the client sent it."""
    bytes: int


class BulkUpload(msgspec.Struct, frozen=True):
    """What a bulk upload wrote."""

    files: list[StoredFile]


class FailedBulkUpload(
    msgspec.Struct, frozen=True, kw_only=True, rename={"status_code": "statusCode"}
):
    """What a bulk upload wrote, and what it did not. The fields of the error envelope come too."""

    errors: list[str]
    files: list[StoredFile]
    status_code: int
    message: str
    code: str
    source: str
    timestamp: str
    path: str
    method: str

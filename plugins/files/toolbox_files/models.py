"""The requests and responses of the file operations."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.http.client_versions import since
from toolbox.http.envelope import ErrorResponse
from toolbox_files.conditions import Conditions

RequiredText = Annotated[str, Meta(min_length=1)]


class FileInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One directory entry; symbolic links are followed."""

    name: str
    size: int
    """Bytes."""
    mode: str
    """Type letters and ``rwxrwxrwx`` as Go's ``FileMode`` formats them: ``drwxr-xr-x``."""
    mod_time: str
    """Format of Go's ``time.Time``; for old clients."""
    modified_at: Annotated[str, since(0, 184)]
    """RFC 3339, with up to nine digits of a second's fraction."""
    is_dir: bool
    owner: str
    """User id, in decimal."""
    group: str
    """Group id, in decimal."""
    permissions: str
    """Four octal digits of the permission bits: ``0644``."""
    path: Annotated[str, since(0, 188)]
    """The full path."""


class PathQuery(msgspec.Struct, frozen=True):
    """A file; a relative path is resolved against the service's working directory."""

    path: RequiredText


class ListQuery(msgspec.Struct, frozen=True):
    """A directory and the number of levels to list."""

    path: str = "."
    depth: Annotated[int, Meta(ge=1, description="Number of levels to list.")] = 1


class FolderQuery(msgspec.Struct, frozen=True):
    """The directory to make, and its mode in octal, before the umask."""

    path: RequiredText
    mode: str = "0755"


class DeleteQuery(msgspec.Struct, frozen=True):
    """The file to delete. Directories need ``recursive=true``, even empty ones."""

    path: RequiredText
    # Not a bool: only the text "true" counts, as in the Daytona API.
    recursive: str = ""


class MoveQuery(msgspec.Struct, frozen=True):
    """The old and the new path."""

    source: RequiredText
    destination: RequiredText


class Moved(msgspec.Struct, frozen=True):
    """A move by copying whose source could not be deleted entirely."""

    message: str
    error: str


class PermissionsQuery(msgspec.Struct, frozen=True):
    """Mode in octal, owner and group by number or name; an empty one isn't changed."""

    path: RequiredText
    mode: str = ""
    owner: str = ""
    group: str = ""


class SearchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A search and its bounds. Only path and pattern are of the Daytona API."""

    path: RequiredText
    pattern: RequiredText
    skip: Annotated[
        list[RequiredText],
        Meta(
            description="Names of directories that are not entered, such as .git or node_modules."
        ),
    ] = []
    limit: Annotated[int, Meta(ge=0, description="Maximum number of results; 0 for no limit.")] = 0
    offset: Annotated[
        int, Meta(ge=0, description="Results to skip; with limit, this gives pages.")
    ] = 0
    seconds: Annotated[
        float,
        Meta(ge=0, le=86400, description="Maximum duration; 0 for no limit."),
    ] = 0

    gitignore: Annotated[
        bool,
        Meta(description="Omit files that .gitignore files ignore, and the content of .git."),
    ] = False


class FoundFiles(msgspec.Struct, frozen=True):
    """Files and directories whose names match."""

    files: list[str]


class Match(msgspec.Struct, frozen=True):
    """A line that contains the text."""

    file: str
    line: int
    """Counted from 1."""
    content: str
    """Without its line ending; bytes that are not UTF-8 as U+FFFD."""


class ReplaceRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A text to replace in files, and its replacement."""

    files: list[str]
    pattern: RequiredText
    new_value: str


class ReplaceResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result for one file."""

    file: str
    success: bool
    error: str = ""


class DownloadHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The headers that a download takes."""

    want_repr_digest: str = msgspec.field(default="", name="Want-Repr-Digest")


class DownloadRequest(msgspec.Struct, frozen=True):
    """The files to download."""

    # An empty path is an error part of the response, not a refused request.
    paths: Annotated[list[str], Meta(min_length=1)]


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written."""

    name: str
    path: str
    """The full path."""
    type: str = "file"


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a bulk upload."""

    path: str
    """Path as the client sent it."""
    bytes: int


class BulkUpload(msgspec.Struct, frozen=True):
    """The files that a bulk upload stored."""

    files: list[StoredFile]


class FailedBulkUpload(ErrorResponse, frozen=True, kw_only=True):
    """The error envelope, with the files that a bulk upload stored and its errors."""

    errors: list[str]
    files: list[StoredFile]


class UploadQuery(msgspec.Struct, frozen=True):
    """A resumable upload: its target, and an id that the client chose."""

    path: RequiredText
    id: RequiredText


class UploadEnd(msgspec.Struct, frozen=True):
    """A resumable upload, and the expected SHA-256 of the whole file in hexadecimal."""

    path: RequiredText
    id: RequiredText
    sha256: Annotated[str, Meta(pattern="^([0-9a-fA-F]{64})?$")] = ""


class UploadHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The offset of this piece, and whether it is the last.

    Names and values are those of draft-ietf-httpbis-resumable-upload.
    """

    offset: Annotated[int, Meta(ge=0)] = msgspec.field(name="Upload-Offset")
    complete: Literal["?0", "?1"] = msgspec.field(default="?0", name="Upload-Complete")
    if_match: str = msgspec.field(default="", name="If-Match")
    if_none_match: str = msgspec.field(default="", name="If-None-Match")
    if_unmodified_since: str = msgspec.field(default="", name="If-Unmodified-Since")

    @property
    def conditions(self) -> Conditions:
        """Conditions for the last piece, which replaces the target."""
        return Conditions(
            if_match=self.if_match,
            if_none_match=self.if_none_match,
            if_unmodified_since=self.if_unmodified_since,
        )


class UploadState(msgspec.Struct, frozen=True):
    """The progress of a resumable upload."""

    offset: int
    """Bytes received, the offset at which to resume."""
    complete: bool = False


class Replacement(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="replace"):
    """Replace a text, which must occur exactly ``count`` times."""

    old_text: RequiredText
    new_text: str
    count: Annotated[int, Meta(ge=1)] = 1


class Insertion(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="insert"):
    """Insert lines after a line, or before the first (0). Adds a line ending where needed."""

    after_line: Annotated[int, Meta(ge=0)]
    new_text: RequiredText


class EditRequest(msgspec.Struct, frozen=True):
    """A file and the edits to apply to it, in order."""

    path: RequiredText
    edits: Annotated[list[Replacement | Insertion], Meta(min_length=1)]


class Edited(msgspec.Struct, frozen=True):
    """For each edit the lines, from 1, where it was applied, in the text before that edit."""

    lines: list[list[int]]


ArchiveFormat = Literal["tar", "tar.gz", "tar.zst"]


class WatchQuery(msgspec.Struct, frozen=True):
    """A file or directory to watch."""

    path: RequiredText
    recursive: Annotated[bool, Meta(description="Watch the directories below it, too.")] = False
    force: Annotated[
        bool,
        Meta(
            description="Watch network file systems too, where other machines' changes aren't seen."
        ),
    ] = False


Event = Literal["created", "modified", "attributes", "deleted", "overflow"]


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A change. ``overflow``: changes were lost, list the watched path again."""

    event: Event
    path: str
    is_dir: bool = False
    cookie: int = 0
    """The same number for the ``deleted`` and the ``created`` of one rename, else 0."""

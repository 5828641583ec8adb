"""What the file operations take and answer."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.clients import since
from toolbox_files.conditions import Conditions

RequiredText = Annotated[str, Meta(min_length=1)]


class FileInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One directory entry; symbolic links are followed."""

    name: str
    size: int
    """Bytes."""
    mode: str
    """Type letters and ``rwxrwxrwx`` as Go's ``FileMode`` writes them: ``drwxr-xr-x``."""
    mod_time: str
    """As Go's ``time.Time`` prints itself; for old clients."""
    modified_at: Annotated[str, since(0, 184)]
    """RFC 3339, up to nanoseconds."""
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
    """The file meant; a relative path starts in the service's working directory."""

    path: RequiredText


class ListQuery(msgspec.Struct, frozen=True):
    """A directory and how many levels of it."""

    path: str = "."
    depth: Annotated[int, Meta(ge=1, description="Levels of directories that are listed.")] = 1


class FolderQuery(msgspec.Struct, frozen=True):
    """The directory to make, and its mode in octal, before the umask."""

    path: RequiredText
    mode: str = "0755"


class DeleteQuery(msgspec.Struct, frozen=True):
    """What to delete. Directories need ``recursive=true``, empty ones too."""

    path: RequiredText
    recursive: str = ""


class MoveQuery(msgspec.Struct, frozen=True):
    """From where to where."""

    source: RequiredText
    destination: RequiredText


class Moved(msgspec.Struct, frozen=True):
    """Moved by copying, and what was copied could not all be deleted."""

    message: str
    error: str


class PermissionsQuery(msgspec.Struct, frozen=True):
    """What to change: mode in octal, owner and group by number or name; empty is left alone."""

    path: RequiredText
    mode: str = ""
    owner: str = ""
    group: str = ""


class SearchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where to search for what, and how far. Only path and pattern are the Daytona API's."""

    path: RequiredText
    pattern: RequiredText
    skip: Annotated[
        list[RequiredText],
        Meta(description="Names of directories that are not entered: .git, node_modules."),
    ] = []
    limit: Annotated[int, Meta(ge=0, description="Results at most; 0 for all.")] = 0
    offset: Annotated[
        int, Meta(ge=0, description="Results left out at the beginning: with limit, pages.")
    ] = 0
    seconds: Annotated[
        float,
        Meta(ge=0, le=86400, description="Time it may take; 0 for as long as it takes."),
    ] = 0

    gitignore: Annotated[
        bool,
        Meta(description="Leave out what .gitignore files do, and what is in .git."),
    ] = False


class FoundFiles(msgspec.Struct, frozen=True):
    """Files and directories whose names match."""

    files: list[str]


class Match(msgspec.Struct, frozen=True):
    """One line that holds the text."""

    file: str
    line: int
    """From 1."""
    content: str
    """Without its line ending; bytes that are not UTF-8 as U+FFFD."""


class ReplaceRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What to replace by what, and where."""

    files: list[str]
    pattern: RequiredText
    new_value: str


class ReplaceResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one file."""

    file: str
    success: bool
    error: str = ""


class DownloadHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """What else is to be told of a file."""

    want_repr_digest: str = msgspec.field(default="", name="Want-Repr-Digest")


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


class UploadQuery(msgspec.Struct, frozen=True):
    """A resumable upload: its target, and an id that the client made up."""

    path: RequiredText
    id: RequiredText


class UploadEnd(msgspec.Struct, frozen=True):
    """A resumable upload, and the SHA-256 of the whole in hexadecimal, to be compared."""

    path: RequiredText
    id: RequiredText
    sha256: Annotated[str, Meta(pattern="^([0-9a-fA-F]{64})?$")] = ""


class UploadHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """Where this piece begins, and whether it is the last.

    Names and values as of draft-ietf-httpbis-resumable-upload.
    """

    offset: Annotated[int, Meta(ge=0)] = msgspec.field(name="Upload-Offset")
    complete: Literal["?0", "?1"] = msgspec.field(default="?0", name="Upload-Complete")
    if_match: str = msgspec.field(default="", name="If-Match")
    if_none_match: str = msgspec.field(default="", name="If-None-Match")
    if_unmodified_since: str = msgspec.field(default="", name="If-Unmodified-Since")

    @property
    def conditions(self) -> Conditions:
        """Those for the last piece, which puts the file in its place."""
        return Conditions(
            if_match=self.if_match,
            if_none_match=self.if_none_match,
            if_unmodified_since=self.if_unmodified_since,
        )


class UploadState(msgspec.Struct, frozen=True):
    """How far a resumable upload is."""

    offset: int
    """Bytes that have arrived: where to go on."""
    complete: bool = False


class Replacement(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="replace"):
    """Replace a text, which must occur exactly ``count`` times."""

    old_text: RequiredText
    new_text: str
    count: Annotated[int, Meta(ge=1)] = 1


class Insertion(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="insert"):
    """Insert lines after a line; 0 is before the first. A line ending is added where needed."""

    after_line: Annotated[int, Meta(ge=0)]
    new_text: RequiredText


class EditRequest(msgspec.Struct, frozen=True):
    """The file, and what to change in it, one after the other."""

    path: RequiredText
    edits: Annotated[list[Replacement | Insertion], Meta(min_length=1)]


class Edited(msgspec.Struct, frozen=True):
    """For each edit the lines where it took place, from 1, in the text it found."""

    lines: list[list[int]]


ArchiveFormat = Literal["tar", "tar.gz", "tar.zst"]


class WatchQuery(msgspec.Struct, frozen=True):
    """What to watch."""

    path: RequiredText
    recursive: Annotated[bool, Meta(description="Watch the directories below it, too.")] = False
    force: Annotated[
        bool,
        Meta(description="Watch network file systems, whose other users' changes aren't seen."),
    ] = False


Event = Literal["created", "modified", "attributes", "deleted", "overflow"]


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One change. ``overflow``: some were lost, so look yourself; the path is the watched one."""

    event: Event
    path: str
    is_dir: bool = False
    cookie: int = 0
    """The same for the ``deleted`` and the ``created`` of one renaming."""

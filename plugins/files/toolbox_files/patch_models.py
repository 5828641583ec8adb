"""The requests and responses of patches."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.http.envelope import ErrorResponse
from toolbox_files.models import Insertion
from toolbox_files.models import Replacement
from toolbox_files.models import RequiredText


class PlacedReplacement(Replacement, frozen=True, kw_only=True, rename="camel", tag="replace"):
    """Replace a text in the file ``path``, which must occur exactly ``count`` times."""

    path: str = ""


class PlacedInsertion(Insertion, frozen=True, kw_only=True, rename="camel", tag="insert"):
    """Insert lines in the file ``path`` after a line, or before the first (0)."""

    path: str = ""


class PatchRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A directory, and changes of files below it: a unified diff, or edits."""

    path: Annotated[
        RequiredText,
        Meta(description="The directory that names are relative to; for edits, also one file."),
    ]
    patch: Annotated[
        str,
        Meta(
            description="A unified diff over one or more files, as `git diff` and `diff -u` write "
            "it: new and deleted files, renames, copies, modes, no newline at the end."
        ),
    ] = ""
    edits: Annotated[
        list[PlacedReplacement | PlacedInsertion],
        Meta(
            description="Edits as of `/x/files/edit`, each with the `path` of its file; without "
            "one they are of the file that `path` is."
        ),
    ] = []
    dry_run: bool = False
    strip: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | None,
        Meta(
            description="Names to remove from the beginning of the paths in the patch, as `patch "
            "-p`; by default the `a/` and `b/` of git.",
        ),
    ] = None
    recount: Annotated[
        bool,
        Meta(
            description="Take the lengths of hunks from their lines, not from their headers, where "
            "models are often wrong."
        ),
    ] = False


Operation = Literal["modify", "create", "delete", "rename", "copy"]


class PatchedHunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hunk, or an edit, and where it was applied."""

    line: int
    """In the new file, from 1."""
    moved: int = 0
    """By how many lines the hunk was away from the line in its header."""


class PatchedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that a patch changed."""

    path: str
    """Its name below ``path``, as in the patch."""
    operation: Operation
    source: str = ""
    """The former name, of a rename or a copy."""
    hunks: list[PatchedHunk] = []


class Patched(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The files that a patch has changed, or would change."""

    files: list[PatchedFile]
    dry_run: bool


class HunkConflict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a patch that doesn't fit."""

    path: str
    reason: str
    hunk: int = 0
    """Number of the hunk in this file, from 1; 0 if it is about the file."""
    header: str = ""
    """The ``@@`` line of the hunk."""
    line: int = 0
    """The line, from 1, where the hunk was expected."""
    expected: str = ""
    """The text that the hunk replaces; the first lines of a long one."""
    found: str = ""
    """The text that is there."""


class PatchConflicts(ErrorResponse, frozen=True, kw_only=True):
    """The error envelope, with the parts of a patch that don't fit."""

    conflicts: list[HunkConflict]

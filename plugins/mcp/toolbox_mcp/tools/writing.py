"""Tools that change files and directories."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from toolbox_files.backend import FilesBackend
from toolbox_files.conditions import Conditions

from toolbox.atomic.writing import write_all
from toolbox.errors import PreconditionFailed
from toolbox_mcp import content
from toolbox_mcp.media import read_up_to
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import ToolFailure
from toolbox_mcp.tools.arguments import Arguments
from toolbox_mcp.tools.arguments import OnePath
from toolbox_mcp.tools.arguments import Path
from toolbox_mcp.tools.diffs import unified_diff
from toolbox_mcp.tools.editing import replace_once

MAX_EDITED = 16 * 1024 * 1024
"""Bytes of the largest file that is edited."""


class Write(Arguments, frozen=True, kw_only=True):
    """A file and its new content."""

    path: Path
    content: str


class Edit(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A text to replace."""

    old_text: Annotated[
        str,
        Meta(min_length=1, description="Text to search for, whole lines where possible."),
    ]
    new_text: Annotated[str, Meta(description="Text to replace it with.")]


class EditFile(Arguments, frozen=True, kw_only=True):
    """A file, and edits to apply to it in order."""

    path: Path
    edits: Annotated[list[Edit], Meta(min_length=1, max_length=1000)]
    dry_run: Annotated[bool, Meta(description="Only show the diff, and change nothing.")] = False


class Move(Arguments, frozen=True, kw_only=True):
    """An old and a new path."""

    source: Path
    destination: Path


def write_file(call: Call, arguments: Write) -> str:
    """Create or replace a file."""
    with call.backends["files"].writing(arguments.path) as file:
        write_all(file, arguments.content.encode())
    return f"Successfully wrote to {arguments.path}"


def edit_file(call: Call, arguments: EditFile) -> str:
    """Edit a file, and return the diff."""
    files: FilesBackend = call.backends["files"]
    # Before the file is read: a change in between fails the write.
    etag = files.etag(arguments.path)
    old = _read(files, arguments.path)
    new = edited(old, arguments.edits)
    if new != old and not arguments.dry_run:
        _replace(files, arguments.path, new, etag)
    diff = unified_diff(old, new, arguments.path)
    if not diff:
        return "The edits change nothing."
    hint = "the file was edited whole" if not arguments.dry_run else "the edits fit whole"
    return f"```diff\n{content.shortened(diff, call.settings.max_text, hint)}```"


def _replace(files: FilesBackend, path: str, new: str, etag: str) -> None:
    try:
        with files.writing(path, Conditions(if_match=etag)) as file:
            write_all(file, new.encode())
    except PreconditionFailed:
        raise ToolFailure(f"{path} was changed meanwhile; read it again") from None


def _read(files: FilesBackend, path: str) -> str:
    with files.open(path) as file:
        data = read_up_to(file, MAX_EDITED + 1)
    if len(data) > MAX_EDITED:
        raise ToolFailure(f"{path} is larger than {content.size_text(MAX_EDITED)}")
    if b"\0" in data:
        raise ToolFailure(f"{path} is not a text file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        # Written back it would be damaged.
        raise ToolFailure(f"{path} is not UTF-8") from None


def edited(old: str, edits: list[Edit]) -> str:
    """Return a text with edits applied in order. Raises ToolFailure if one doesn't fit.

    Models write newlines as LF. A file in which each is CRLF stays so; in one with both, those of
    the edits have to be exact.
    """
    windows = "\r\n" in old and old.count("\r\n") == old.count("\n")
    text = old.replace("\r\n", "\n") if windows else old
    for edit in edits:
        before, after = edit.old_text, edit.new_text
        if "\r" not in text:
            before, after = before.replace("\r\n", "\n"), after.replace("\r\n", "\n")
        text = replace_once(text, before, after)
    return text.replace("\n", "\r\n") if windows else text


def create_directory(call: Call, arguments: OnePath) -> str:
    """Make a directory and those above it; one that exists is left alone."""
    call.backends["files"].make_folder(arguments.path, "0755")
    return f"Successfully created directory {arguments.path}"


def move_file(call: Call, arguments: Move) -> str:
    """Move or rename a file or directory."""
    error = call.backends["files"].move(arguments.source, arguments.destination)
    if error:
        raise ToolFailure(f"copied, but the source could not be deleted: {error}")
    return f"Successfully moved {arguments.source} to {arguments.destination}"

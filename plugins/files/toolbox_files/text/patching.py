"""Applying patches and edits to several files, all or none."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import ContentTooLarge
from toolbox.http.envelope import envelope
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox_files.backend import Changes
from toolbox_files.backend import FilesBackend
from toolbox_files.errors import EditMismatch
from toolbox_files.errors import FileNotFound
from toolbox_files.errors import InvalidPatch
from toolbox_files.errors import PatchConflict
from toolbox_files.patch_models import HunkConflict
from toolbox_files.patch_models import PatchConflicts
from toolbox_files.patch_models import Patched
from toolbox_files.patch_models import PatchedFile
from toolbox_files.patch_models import PatchedHunk
from toolbox_files.patch_models import PatchRequest
from toolbox_files.text.binary import check_text
from toolbox_files.text.diffs import FileDiff
from toolbox_files.text.diffs import parse_diff
from toolbox_files.text.edits import Edit
from toolbox_files.text.edits import apply_edits
from toolbox_files.text.hunks import Misfit
from toolbox_files.text.hunks import apply_hunks

MAX_FILES = 500
"""Files that one patch may change."""

MAX_TOTAL = 128 * 1024 * 1024
"""Bytes of all files of a patch, after it, at most: they are held in memory."""

MAX_CONFLICTS = 100
"""Conflicts that a response lists at most."""


def patch_response(backend: FilesBackend, body: PatchRequest, request: RequestInfo) -> JsonResponse:
    """Apply a patch or edits; return a 200 with Patched, or a 409 with PatchConflicts.

    Raises InvalidPatch, EditMismatch, BinaryFile, PreconditionFailed, ContentTooLarge.
    """
    if bool(body.patch) == bool(body.edits):
        raise BadRequest("either 'patch' or 'edits' is needed")
    directory, edits = body.path, None
    if body.edits:
        directory, edits = _placed(backend, body)
    with backend.changing(directory) as changes:
        planned = _Planned(changes)
        if edits is not None:
            planned.edit(edits)
        else:
            try:
                text = body.patch.encode()
            except UnicodeEncodeError:
                raise InvalidPatch("the patch contains a lone surrogate") from None
            planned.patch(parse_diff(text, body.strip, body.recount))
        if planned.conflicts:
            return _conflicted(planned.conflicts, request)
        if not body.dry_run:
            changes.commit()
    return JsonResponse(Patched(files=planned.files, dry_run=body.dry_run))


def _placed(backend: FilesBackend, body: PatchRequest) -> tuple[str, dict[str, list[Edit]]]:
    """Return the directory of edits, and the edits of each file below it."""
    directory, name = body.path, ""
    if not all(edit.path for edit in body.edits):
        if backend.info(body.path).is_dir:
            raise BadRequest("an edit needs the 'path' of its file, below that directory")
        directory, _, name = body.path.rpartition("/")
        directory = directory or ("/" if body.path.startswith("/") else ".")
        if any(edit.path for edit in body.edits):
            raise BadRequest("edits of several files need the path of their directory")
    edits: dict[str, list[Edit]] = {}
    for edit in body.edits:
        edits.setdefault(edit.path or name, []).append(edit)
    return directory, edits


def _conflicted(conflicts: list[HunkConflict], request: RequestInfo) -> JsonResponse:
    first = conflicts[0]
    message = f"{first.path}: {first.reason}"
    if first.hunk:
        message = f"{first.path}, hunk {first.hunk} at line {first.line}: {first.reason}"
    if len(conflicts) > 1:
        message += f" (and {len(conflicts) - 1} more)"
    error = envelope(PatchConflict(message), request.path, request.method)
    fields = {name: getattr(error, name) for name in error.__struct_fields__}
    return JsonResponse(PatchConflicts(conflicts=conflicts[:MAX_CONFLICTS], **fields), 409)


class _Planned:
    """The files as a patch makes them, in memory."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._originals: dict[str, bytes | None] = {}
        self._now: dict[str, bytes | None] = {}
        self._size = 0
        self.files: list[PatchedFile] = []
        self.conflicts: list[HunkConflict] = []

    def edit(self, edits: dict[str, list[Edit]]) -> None:
        """Apply the edits of each file. Raises EditMismatch, FileNotFound, BinaryFile."""
        for name, of_file in edits.items():
            original = self._original(name)
            if original is None:
                raise FileNotFound(f"file not found: {name}")
            check_text(original)
            try:
                content, lines = apply_edits(original, of_file)
            except EditMismatch as error:
                raise EditMismatch(f"{name}: {error.message}") from None
            hunks = [PatchedHunk(line=line) for each in lines for line in each]
            if content != original:
                self._write(name, content, None)
            self.files.append(PatchedFile(path=name, operation="modify", hunks=hunks))

    def patch(self, diffs: list[FileDiff]) -> None:
        """Apply the diffs, and collect the conflicts."""
        # Names that are free once the patch is applied, though files have them now.
        leaving = {diff.old for diff in diffs if diff.operation in ("rename", "delete")}
        for diff in diffs:
            try:
                self._apply(diff, leaving)
            except Misfit as misfit:
                self.conflicts += misfit.conflicts

    def _apply(self, diff: FileDiff, leaving: set[str]) -> None:
        source = self._source(diff)
        name = diff.new or diff.old
        if source is None and diff.operation != "create":
            raise _misfit(diff.old, "the file doesn't exist")
        moves = diff.operation in ("create", "rename", "copy")
        if moves and name not in leaving and self._present(name) is not None:
            raise _misfit(name, "the file exists already")
        before = source or b""
        if diff.hunks:
            check_text(before)
        content, hunks = apply_hunks(name, before, diff.hunks)
        if diff.operation == "delete":
            if content:
                raise _misfit(name, "the file has more than the patch deletes")
            self._remove(name)
        else:
            self._write(name, content, diff.executable, diff.old if diff.old != diff.new else "")
        if diff.operation == "rename" and diff.old not in self._now:
            self._remove(diff.old)
        self.files.append(
            PatchedFile(
                path=name,
                operation=diff.operation,
                source=diff.old if diff.operation in ("rename", "copy") else "",
                hunks=hunks,
            )
        )

    def _source(self, diff: FileDiff) -> bytes | None:
        """Return the file that a diff is of."""
        if diff.operation == "create":
            return None
        # Renames in one patch are of the files before it; other diffs of a file follow each other.
        source = self._original(diff.old)
        if diff.operation in ("modify", "delete"):
            source = self._present(diff.old)
            # As diff(1) writes a new file: with its own name, and no line of the old one.
            if source is None and [(hunk.line, hunk.size) for hunk in diff.hunks] == [(0, 0)]:
                diff.operation, diff.old = "create", ""
        return source

    def _original(self, name: str) -> bytes | None:
        if name not in self._originals:
            if len(self._originals) >= 2 * MAX_FILES:
                raise ContentTooLarge(f"more than {MAX_FILES} files in one patch")
            original = self._changes.read(name)
            self._count(len(original or b""))
            self._originals[name] = original
        return self._originals[name]

    def _present(self, name: str) -> bytes | None:
        return self._now[name] if name in self._now else self._original(name)

    def _write(self, name: str, content: bytes, executable: bool | None, like: str = "") -> None:
        self._count(len(content))
        self._original(name)
        self._now[name] = content
        self._changes.write(name, content, executable, like)

    def _remove(self, name: str) -> None:
        self._now[name] = None
        self._changes.remove(name)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_TOTAL:
            raise ContentTooLarge(f"the files are too large to patch (limit {MAX_TOTAL} bytes)")


def _misfit(name: str, reason: str) -> Misfit:
    return Misfit([HunkConflict(path=name, reason=reason)])

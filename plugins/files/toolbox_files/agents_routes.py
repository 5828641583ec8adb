"""The operations for models, under ``/x/files``: search and read by pages, change by patches."""

from __future__ import annotations

from toolbox.errors import ContentTooLarge
from toolbox.errors import PreconditionFailed
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox.response import TextResponse
from toolbox_files.backend import FilesBackend
from toolbox_files.errors import BinaryFile
from toolbox_files.errors import EditMismatch
from toolbox_files.errors import InvalidCursor
from toolbox_files.errors import InvalidPatch
from toolbox_files.errors import InvalidPattern
from toolbox_files.errors import PatchConflict
from toolbox_files.page_models import GlobOptions
from toolbox_files.page_models import GlobPage
from toolbox_files.page_models import GrepOptions
from toolbox_files.page_models import GrepPage
from toolbox_files.page_models import LinesPage
from toolbox_files.page_models import LinesQuery
from toolbox_files.patch_models import Patched
from toolbox_files.patch_models import PatchRequest
from toolbox_files.routes import READ_ERRORS
from toolbox_files.routes import WRITE_ERRORS
from toolbox_files.search.lines import lines_page
from toolbox_files.search.pages import glob_page
from toolbox_files.search.pages import grep_page

operations = Operations()

PAGE_ERRORS = (InvalidCursor, *READ_ERRORS)


@operations.get("/x/files/grep", returns=GrepPage, errors=(InvalidPattern, *PAGE_ERRORS))
def grep_files(backend: FilesBackend, query: GrepOptions, request: RequestInfo) -> TextResponse:
    """Find lines that match a regular expression, with ``context`` lines around them.

    The syntax is that of Python's ``re``, applied to each line of the files below ``path`` or of
    that file. Binary files (a NUL among the first 512 bytes) are omitted; of a line the first MiB
    is searched. If a budget ended the page, ``truncated`` names it, and ``cursor`` is for the next
    one.
    """
    return grep_page(backend, query, request.is_disconnected)


@operations.get("/x/files/glob", returns=GlobPage, errors=(InvalidPattern, *PAGE_ERRORS))
def glob_files(backend: FilesBackend, query: GlobOptions, request: RequestInfo) -> TextResponse:
    """Find files by a glob for their path below ``path``: ``*.py`` in it, ``**/*.py`` anywhere.

    ``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``{a,b}`` and ``\\``; links aren't followed. For pages see
    the search for lines.
    """
    return glob_page(backend, query, request.is_disconnected)


@operations.get("/x/files/lines", returns=LinesPage, errors=(BinaryFile, *PAGE_ERRORS))
def read_lines(backend: FilesBackend, query: LinesQuery, request: RequestInfo) -> LinesPage:
    """Return numbered lines of a text file, from ``offset`` on.

    A longer line than ``width`` is cut. If a budget ended the page, ``truncated`` names it, and
    ``cursor`` is for the next one.
    """
    return lines_page(backend, query, request.is_disconnected)


@operations.post(
    "/x/files/patch",
    returns=Patched,
    errors=(
        InvalidPatch,
        PatchConflict,
        EditMismatch,
        BinaryFile,
        PreconditionFailed,
        ContentTooLarge,
        *WRITE_ERRORS,
    ),
)
def patch_files(backend: FilesBackend, body: PatchRequest, request: RequestInfo) -> JsonResponse:
    """Change files below ``path`` by a unified diff or by edits: all of them or none.

    Context must match exactly; a hunk may be at another line, the nearest one that fits. A patch
    that doesn't fit is 409, with every hunk and the text that was found in ``conflicts``; a file
    that changes meanwhile is 412. With ``dryRun`` nothing is written.
    """
    # What reads diffs is not needed before the first one.
    from toolbox_files.text.patching import patch_response

    return patch_response(backend, body, request)

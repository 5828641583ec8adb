"""Errors of the group ``files``, and their mapping from ``OSError``."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import Unprocessable
from toolbox.errors import from_os_error
from toolbox.errors import printable


class FileNotFound(NotFound):
    """The file, or a directory on its path, doesn't exist."""

    code = "FILE_NOT_FOUND"


class FileAccessDenied(Forbidden):
    """The service's user lacks permission, or the file system is read-only."""

    code = "FILE_ACCESS_DENIED"


class InvalidFilePath(BadRequest):
    """The path doesn't fit the operation, such as a directory where a file is needed."""

    code = "INVALID_FILE_PATH"


class FileReadFailed(ToolboxError):
    """The file exists and may be read, but the device or file system failed."""

    code = "FILE_READ_FAILED"


class WrongOffset(Conflict):
    """The piece doesn't begin where the upload ended, the offset in ``Upload-Offset``."""

    code = "WRONG_UPLOAD_OFFSET"

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload is at {offset}", {"Upload-Offset": str(offset)})


class ChecksumMismatch(Unprocessable):
    """The content doesn't match its checksum."""

    code = "CHECKSUM_MISMATCH"


class EditMismatch(Unprocessable):
    """The text to be edited doesn't occur as often as expected."""

    code = "EDIT_MISMATCH"


class BinaryFile(Unprocessable):
    """The file isn't text and would be damaged by an edit of text."""

    code = "BINARY_FILE"


class InvalidPattern(BadRequest):
    """The pattern is no regular expression, or no glob."""

    code = "INVALID_PATTERN"


class InvalidCursor(BadRequest):
    """The cursor isn't one of a page of this search."""

    code = "INVALID_CURSOR"


class InvalidPatch(BadRequest):
    """The patch is no unified diff, or one of something else than text."""

    code = "INVALID_PATCH"


class PatchConflict(Conflict):
    """A hunk doesn't fit the file; the response lists all of them as ``conflicts``."""

    code = "PATCH_CONFLICT"


class InvalidArchive(Unprocessable):
    """The body isn't an archive, or a member of it would be written outside the directory."""

    code = "INVALID_ARCHIVE"


_BY_ERRNO: dict[int, tuple[type[ToolboxError], str]] = {
    # Clients match on these texts; other errors have the kernel's.
    errno.ENOENT: (FileNotFound, "file not found"),
    errno.EACCES: (FileAccessDenied, "permission denied"),
    errno.EPERM: (FileAccessDenied, "operation not permitted"),
    errno.EROFS: (FileAccessDenied, "read-only file system"),
    errno.ENOTDIR: (InvalidFilePath, "not a directory"),
    errno.EISDIR: (InvalidFilePath, "is a directory"),
    errno.ELOOP: (InvalidFilePath, "too many levels of symbolic links"),
    errno.ENAMETOOLONG: (InvalidFilePath, "file name too long"),
    errno.EINVAL: (InvalidFilePath, "invalid argument"),
    errno.ENXIO: (InvalidFilePath, "not a regular file"),
}


def from_file_error(error: OSError) -> ToolboxError:
    """Return the error to respond with for ``error``, raised by an operation on a file."""
    known = _BY_ERRNO.get(error.errno or 0)
    if known is not None:
        kind, reason = known
        return kind(f"{reason}: {_name(error)}" if error.filename is not None else reason)
    # The core knows those that aren't about a file: no space, too many open files.
    return from_os_error(error) or FileReadFailed(
        f"{os.strerror(error.errno or errno.EIO)}: {_name(error)}"
    )


def _name(error: OSError) -> str:
    return printable(os.fsdecode(error.filename)) if error.filename is not None else "file"


class file_errors:
    """Raise an ``OSError`` of the block as :func:`from_file_error` maps it.

    ``path`` is the file to name if the error has none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            # Errors of read(2) and write(2) name no file.
            if error.filename is None and self._path is not None:
                error.filename = str(self._path)
            raise from_file_error(error) from error

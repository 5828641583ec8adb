"""What can go wrong in the group ``files``, and which of it an ``OSError`` means."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
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
    """Nothing is there, or a directory on the way is missing."""

    code = "FILE_NOT_FOUND"


class FileAccessDenied(Forbidden):
    """The service's user may not do this, or nobody may."""

    code = "FILE_ACCESS_DENIED"


class InvalidFilePath(BadRequest):
    """The path can't name what the operation needs: a directory where a file is wanted, say."""

    code = "INVALID_FILE_PATH"


class FileReadFailed(ToolboxError):
    """The file is there and may be read, but the device or file system fails."""

    code = "FILE_READ_FAILED"


class WrongOffset(Conflict):
    """An upload goes on where it ended, and only there; ``Upload-Offset`` tells where that is."""

    code = "WRONG_UPLOAD_OFFSET"

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload is at {offset}", {"Upload-Offset": str(offset)})


class ChecksumMismatch(Unprocessable):
    """The content is not what its checksum says."""

    code = "CHECKSUM_MISMATCH"


class EditMismatch(Unprocessable):
    """The text to be edited is not there, or not as often as it is to be."""

    code = "EDIT_MISMATCH"


class BinaryFile(Unprocessable):
    """The file is no text, and would be broken by what changes texts."""

    code = "BINARY_FILE"


class InvalidArchive(Unprocessable):
    """What was sent is no archive, or one with a member that would land outside."""

    code = "INVALID_ARCHIVE"


_BY_ERRNO: dict[int, tuple[type[ToolboxError], str]] = {
    # Texts that clients of the API look for; whatever is not here is said in the kernel's words.
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
    """The error that ``error``, met while working on a file, is answered with."""
    known = _BY_ERRNO.get(error.errno or 0)
    if known is not None:
        kind, reason = known
        return kind(f"{reason}: {_name(error)}" if error.filename is not None else reason)
    return from_os_error(error) or FileReadFailed(
        f"{os.strerror(error.errno or errno.EIO)}: {_name(error)}"
    )


def _name(error: OSError) -> str:
    return printable(os.fsdecode(error.filename)) if error.filename is not None else "file"


@contextlib.contextmanager
def file_errors(path: Path | None = None) -> Iterator[None]:
    """Turn an ``OSError`` into the error it is answered with.

    ``path`` is named where the error itself names no file.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and path is not None:
            error.filename = str(path)
        raise from_file_error(error) from error

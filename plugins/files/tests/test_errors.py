from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from toolbox_files.errors import file_errors

from toolbox.errors import ToolboxError

TABLE = [
    (errno.ENOENT, 404, "FILE_NOT_FOUND"),
    (errno.EACCES, 403, "FILE_ACCESS_DENIED"),
    (errno.EPERM, 403, "FILE_ACCESS_DENIED"),
    (errno.EROFS, 403, "FILE_ACCESS_DENIED"),
    (errno.ENOTDIR, 400, "INVALID_FILE_PATH"),
    (errno.EISDIR, 400, "INVALID_FILE_PATH"),
    (errno.ELOOP, 400, "INVALID_FILE_PATH"),
    (errno.ENAMETOOLONG, 400, "INVALID_FILE_PATH"),
    (errno.EINVAL, 400, "INVALID_FILE_PATH"),
    (errno.ENXIO, 400, "INVALID_FILE_PATH"),
    (errno.EEXIST, 409, "CONFLICT"),
    (errno.ENOTEMPTY, 409, "CONFLICT"),
    (errno.EBUSY, 409, "CONFLICT"),
    (errno.ETXTBSY, 409, "CONFLICT"),
    (errno.EFBIG, 413, "CONTENT_TOO_LARGE"),
    (errno.ENOSPC, 507, "INSUFFICIENT_STORAGE"),
    (errno.EDQUOT, 507, "INSUFFICIENT_STORAGE"),
    (errno.EMFILE, 503, "SERVICE_UNAVAILABLE"),
    (errno.EIO, 500, "FILE_READ_FAILED"),
    (errno.ESTALE, 500, "FILE_READ_FAILED"),
]


@pytest.mark.parametrize(("number", "status", "code"), TABLE)
def test_ac_51_each_errno_has_its_answer(number: int, status: int, code: str) -> None:
    with pytest.raises(ToolboxError, match="/the/file") as caught, file_errors():
        raise OSError(number, os.strerror(number), "/the/file")
    assert (caught.value.status, caught.value.code) == (status, code)


def test_an_error_that_names_no_file_gets_the_name() -> None:
    with pytest.raises(ToolboxError, match="/the/file"), file_errors(Path("/the/file")):
        raise OSError(errno.ENOSPC, "")

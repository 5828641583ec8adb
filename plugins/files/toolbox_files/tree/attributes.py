"""Extended attributes of files, xattr(7), and the targets of symbolic links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from toolbox.errors import NotSupported
from toolbox_files.errors import InvalidFilePath

_NONE = (errno.ENOTSUP, errno.ENODATA)


def link_target(path: Path) -> str | None:
    """Return the text of a symbolic link, None for anything else. Raises OSError."""
    try:
        return str(path.readlink())
    except OSError as error:
        if error.errno == errno.EINVAL:  # It is no link.
            return None
        raise


def attributes(path: Path, prefix: str) -> dict[str, str]:
    """Return the attributes whose names begin with ``prefix``, without it. Raises OSError.

    There are none on a file system that has no attributes.
    """
    found = {}
    try:
        for name in os.listxattr(path):
            if name.startswith(prefix):
                value = os.getxattr(path, name)
                found[name.removeprefix(prefix)] = value.decode("utf-8", "replace")
    except OSError as error:
        # One may be removed between the two calls.
        if error.errno not in _NONE:
            raise
    return found


def set_attributes(path: Path, prefix: str, values: dict[str, str]) -> None:
    """Replace the attributes whose names begin with ``prefix``.

    Raises NotSupported on a file system that has none, InvalidFilePath, OSError.
    """
    for name in attributes(path, prefix):
        if name not in values:
            os.removexattr(path, prefix + name)
    for name, value in values.items():
        try:
            os.setxattr(path, prefix + name, value.encode())
        except OSError as error:
            if error.errno == errno.ENOTSUP:
                raise NotSupported("this file system has no extended attributes") from None
            if error.errno in (errno.ERANGE, errno.E2BIG):
                raise InvalidFilePath(f"the attribute {name!r} is too long") from None
            raise

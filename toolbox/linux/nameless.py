"""Files without a name, for programs that get a descriptor; they end with the last of those."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def nameless_file(content: bytes, directory: Callable[[], Path]) -> int:
    """Return a descriptor of a file with ``content``, at its beginning; the caller closes it.

    In memory or, where the kernel or a sandbox has no memfd_create(2), in ``directory()``. Raises
    OSError.
    """
    try:
        fd = os.memfd_create("toolbox")
    except OSError:
        with tempfile.TemporaryFile(dir=directory()) as file:
            fd = os.dup(file.fileno())
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd

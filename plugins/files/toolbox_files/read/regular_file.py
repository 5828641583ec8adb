"""Opening regular files for reading."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from toolbox.atomic.overwriting import is_kernel_file
from toolbox.atomic.writing import write_all
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.names import absolute

_PAGE = 65536
"""Largest page size of any architecture; a file of sysfs reports one page as its size."""

_MAX_PSEUDO = 64 * 1024 * 1024
"""Bytes of a pseudo file that are read; some never end."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, unbuffered; links are followed.

    Never blocks and never wakes a device. A pseudo file (``/proc``, ``/sys``), whose size isn't
    that of its content, is read at once. Raises FileNotFound, FileAccessDenied, FileReadFailed,
    and InvalidFilePath for anything but a regular file.
    """
    with file_errors():
        _check_regular(path, path.stat().st_mode)
        # It may have become a FIFO since, and opening one would wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        file = os.fdopen(fd, "rb", buffering=0)
        try:
            info = os.fstat(fd)
            _check_regular(path, info.st_mode)
            if info.st_blocks == 0 and info.st_size <= _PAGE:
                return _with_true_size(file, info, path)
        except BaseException:
            file.close()
            raise
        return file


def _with_true_size(file: BinaryIO, info: os.stat_result, path: Path) -> BinaryIO:
    """Return ``file``, or a copy of it if its content has another size than ``info`` reports."""
    content = bytearray()
    try:
        while len(content) < _MAX_PSEUDO and (block := file.read(_PAGE)):
            content += block
    except OSError as error:
        if isinstance(error, PermissionError) or not is_kernel_file(info):
            raise
        # /proc/self/mem begins at an address that isn't mapped; others can't be read at all.
        reason = os.strerror(error.errno or errno.EIO)
        raise InvalidFilePath(f"can't be read as a file: {absolute(path)}: {reason}") from None
    if len(content) == info.st_size:
        file.seek(0)
        return file
    file.close()
    copy = _open_copy()
    write_all(copy, content)
    copy.seek(0)
    return copy


def _open_copy() -> BinaryIO:
    try:
        return os.fdopen(os.memfd_create("content"), "w+b", buffering=0)
    except OSError:  # Not in this kernel, or refused by a seccomp filter.
        return tempfile.TemporaryFile(buffering=0)


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise InvalidFilePath(f"is a directory: {absolute(path)}")
    if not stat.S_ISREG(mode):
        raise InvalidFilePath(f"not a regular file: {absolute(path)}")

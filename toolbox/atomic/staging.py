"""Staging of new content: a file that is invisible until it is complete.

It has no name (``O_TMPFILE``), or a private one where the file system or the kernel has no such
files, and takes its place by renaming. A process that is killed leaves nothing behind of a file
without a name. Only the standard library is imported: helper programs use it, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from functools import cache
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from typing import cast

NEW_FILE = 0o666
"""The mode of new files before the umask."""

PRIVATE_NAME = re.compile(r"\.toolbox-(?:upload-|clone-)?[0-9a-f]{16,32}")
"""The names of staged files and directories, which listings leave out."""

_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}
"""Errnos of file systems and kernels without ``O_TMPFILE`` (open(2))."""

_OWN_FILES = "/proc/self/fd"
"""Needed to give a file without a name one; absent where /proc isn't mounted."""


def private_name() -> str:
    """Return a unique name that :data:`PRIVATE_NAME` matches."""
    return f".toolbox-{os.urandom(8).hex()}"


@cache
def _can_link() -> bool:
    """Report whether a file without a name can be given one."""
    return Path(_OWN_FILES).exists()


def open_directory(path: Path | str) -> int:
    """Return a descriptor of a directory, for functions with ``dir_fd``. Raises OSError."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class Staged:
    """A file in the directory open as ``directory``, to be written to as ``file``.

    With ``closed``, others may not read it before it takes its place. An upload that was kept under
    a private name is staged by ``name`` and ``file``. Raises OSError.
    """

    def __init__(
        self, directory: int, closed: bool = False, name: str = "", file: BinaryIO | None = None
    ) -> None:
        self._directory = directory
        self._name = name
        self.file = file or self._open(0o600 if closed else NEW_FILE)

    def _open(self, mode: int) -> BinaryIO:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            if not _can_link():
                raise OSError(errno.EOPNOTSUPP, "")
            fd = os.open(".", flags | os.O_TMPFILE, NEW_FILE, dir_fd=self._directory)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
            name = private_name()
            flags |= os.O_CREAT | os.O_EXCL
            fd = os.open(name, flags, mode, dir_fd=self._directory)
            self._name = name
        return cast(BinaryIO, FileIO(fd, "r+b"))

    def take_place(self, target: str) -> None:
        """Become the entry ``target``, replacing an existing one. Raises OSError; the file is then
        closed, and can still be discarded.
        """
        if not self._name:
            # It needs a name before it is closed: closing would delete it.
            self._link(private_name())
        # Before it is visible: some file systems report failures only when a file is closed.
        self.file.close()
        os.replace(self._name, target, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._name = ""

    def _link(self, name: str) -> None:
        # Any directory descriptor makes CPython call linkat(2), which alone can follow links.
        os.link(
            f"{_OWN_FILES}/{self.file.fileno()}",
            name,
            src_dir_fd=self._directory,
            dst_dir_fd=self._directory,
            follow_symlinks=True,
        )
        self._name = name

    def reopen(self) -> BinaryIO:
        """Return the file, opened again for reading if it was closed. Raises OSError."""
        if self.file.closed:
            with contextlib.suppress(OSError):
                # It may have a mode already with which even its owner can't read it.
                os.chmod(self._name, 0o600, dir_fd=self._directory)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self._name, flags, dir_fd=self._directory)
            self.file = cast(BinaryIO, FileIO(fd, "rb"))
        return self.file

    def discard(self) -> None:
        """Close the file, and delete it unless it has taken its place."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._name:
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._directory)
            self._name = ""

"""Output that is also written to a file of the sandbox, as it comes."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from toolbox.errors import BadRequest
from toolbox.errors import InsufficientStorage
from toolbox.errors import describe_os_error
from toolbox_process.engine.launcher import Launcher
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.settings import LocalSettings

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def open_output(launcher: Launcher, path: Path, user: str) -> int:
    """Return a descriptor of an empty regular file. Raises BadRequest, InsufficientStorage."""
    try:
        fd = launcher.create(path, user)
    # ENXIO: a FIFO that nobody reads (fifo(7)).
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise BadRequest(f"outputFile: {path} is not a regular file") from None
        kind = InsufficientStorage if error.errno in _NO_ROOM else BadRequest
        raise kind(f"outputFile: {describe_os_error(error)}") from None
    try:
        # Writing to anything else might block, and with that every job.
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadRequest(f"outputFile: {path} is not a regular file")
        os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


class FileStanding(NamedTuple):
    """The file of a spool, for another one to go on with; ``fd`` is -1 if nothing more is written.
    ``identity`` is its device and inode.
    """

    path: Path
    written: int
    identity: tuple[int, int]
    error: str
    fd: int


class FiledSpool(Spool):
    """A spool that also writes to a file, which doesn't lose the middle.

    An error ends the file, not the job.
    """

    def __init__(
        self, settings: LocalSettings, directory: Callable[[int], Path], path: Path, fd: int
    ) -> None:
        super().__init__(settings.output_memory, settings.output_limit, directory)
        self.path = path
        self.written = 0
        """Bytes in the file."""
        self._fd = fd
        self._error = ""
        self._file_lock = threading.Lock()
        self._identity = _identity(os.fstat(fd))

    def file_standing(self) -> FileStanding:
        """Return the file, for :meth:`of`; the descriptor stays this one's."""
        return FileStanding(self.path, self.written, self._identity, self._error, self._fd)

    @classmethod
    def of(
        cls, settings: LocalSettings, directory: Callable[[int], Path], file: FileStanding
    ) -> FiledSpool:
        """Return a spool, still to be filled, that goes on with a file."""
        open_fd = file.fd if file.fd >= 0 else os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        spool = cls(settings, directory, file.path, open_fd)
        spool.written, spool._identity, spool._error = file.written, file.identity, file.error
        if file.fd < 0:
            spool.close_file()
        return spool

    def append(self, data: bytes, stream: int = OUT) -> None:
        super().append(data, stream)
        with self._file_lock:
            view = memoryview(data)
            while view and self._fd >= 0:
                try:
                    count = os.write(self._fd, view)
                except OSError as error:
                    self._error = describe_os_error(error)
                    self._close()
                else:
                    view = view[count:]
                    self.written += count

    def error(self) -> str | None:
        """Return the reason why the file isn't whole or isn't there, None if all is well."""
        if self._error:
            return self._error
        try:
            status = self.path.stat()
        except OSError as error:
            return describe_os_error(error)
        if _identity(status) != self._identity:
            return "another file has taken its place"
        return None

    def close_file(self) -> None:
        """Write nothing more to the file."""
        with self._file_lock:
            self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

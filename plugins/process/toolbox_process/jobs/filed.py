"""Output that is also written to a file of the sandbox, as it comes."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox.errors import describe_os_error
from toolbox_process.engine.launcher import Launcher
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.settings import LocalSettings


def open_output(launcher: Launcher, path: Path, user: str) -> int:
    """Return a descriptor of an empty regular file. Raises BadRequest."""
    try:
        fd = launcher.create(path, user)
    # ENXIO: a FIFO that nobody reads (fifo(7)).
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise BadRequest(f"outputFile: {path} is not a regular file") from None
        raise BadRequest(f"outputFile: {describe_os_error(error)}") from None
    try:
        # Writing to anything else might block, and with that every job.
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadRequest(f"outputFile: {path} is not a regular file")
        os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


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
        status = os.fstat(fd)
        self._identity = status.st_dev, status.st_ino

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
        if (status.st_dev, status.st_ino) != self._identity:
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

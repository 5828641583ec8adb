"""A log file of bounded size."""

from __future__ import annotations

import fcntl
import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path


class LogFile(RotatingFileHandler):
    """A file of bounded size that several processes append to: the master and its worker.

    The process that finds it full renames it; the others notice and open the new one, as they do
    after logrotate(8) renamed it. ``mode`` is that of new files.
    """

    def __init__(self, file: str, max_size: int, keep: int, mode: int = 0o666) -> None:
        self._pid = os.getpid()
        self._mode = mode
        super().__init__(file, maxBytes=max_size, backupCount=keep, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # After a fork the descriptor, and so the lock, would be shared with the parent.
            if self._pid != os.getpid() or not self.stream or self._moved(self.stream.fileno()):
                self._pid = os.getpid()
                self._reopen()
        except OSError:
            self.handleError(record)
        else:
            super().emit(record)

    def doRollover(self) -> None:
        # A separate descriptor: the rollover closes the stream, which would release the lock.
        # O_CREAT: another process may have renamed the file a moment ago.
        lock = os.open(self.baseFilename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self._mode)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._moved(lock) or not os.fstat(lock).st_size:
                self._reopen()
            else:
                super().doRollover()
        finally:
            os.close(lock)

    def _moved(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(Path(self.baseFilename).stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return True

    def _reopen(self) -> None:
        if self.stream:
            self.stream.close()
        self.stream = self._open()

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.fdopen(os.open(self.baseFilename, flags, self._mode), "a", encoding="utf-8")

"""What a backend of the group ``files`` can do.

Paths are texts as clients send them (see :mod:`toolbox_files.names`); relative ones start in the
service's working directory. Every method may raise FileNotFound, FileAccessDenied,
InvalidFilePath, Conflict, InsufficientStorage and FileReadFailed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO
from typing import Protocol

from toolbox_files.models import FileInfo
from toolbox_files.models import UploadedFile


class FilesBackend(Protocol):
    """A file system."""

    def list(self, path: str, depth: int) -> list[FileInfo]:
        """The entries of a directory, ``depth`` levels of them."""

    def info(self, path: str) -> FileInfo:
        """What is at ``path``; links are followed."""

    def open(self, path: str) -> BinaryIO:
        """A regular file, open for reading, unbuffered, with a descriptor."""

    def replace(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file for the new content of ``path``, which takes effect when the block is left.

        If the block raises, nothing has changed. Missing directories are made.
        """

    def uploaded(self, path: str) -> UploadedFile:
        """What is said of a file just written."""

"""What a backend of the group ``files`` can do.

Paths are texts as clients send them (see :mod:`toolbox_files.names`); relative ones start in the
service's working directory. Every method may raise FileNotFound, FileAccessDenied,
InvalidFilePath, Conflict, InsufficientStorage and FileReadFailed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO
from typing import Protocol

from toolbox.handler import SocketHandler
from toolbox_files.conditions import UNCONDITIONAL
from toolbox_files.conditions import Conditions
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import FileInfo
from toolbox_files.models import SearchOptions
from toolbox_files.models import UploadedFile


class Findings(Protocol):
    """What a search finds: blocks of JSON values, each value with a newline after it.

    A block may end anywhere, and one that is empty says that nothing has been found for a moment:
    time to see whether anybody still waits. ``truncated`` is ``limit`` or ``time`` if that ended
    the search, else empty; it is known when the iteration is over.
    """

    truncated: str

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """End the search, whether it is over or not."""


class ResumableUpload(Protocol):
    """An upload in pieces, whose content is kept until it is completed or cancelled, or has got
    no piece for ``max_age`` seconds (0: for ever).
    """

    max_age: int

    def offset(self) -> int:
        """Bytes that have arrived."""

    def appending(self, offset: int) -> AbstractContextManager[BinaryIO]:
        """The file to append to. Raises WrongOffset unless ``offset`` bytes have arrived."""

    def complete(self, sha256: str, conditions: Conditions) -> None:
        """Let it become the file. Raises ChecksumMismatch, PreconditionFailed."""

    def cancel(self) -> None:
        """Forget it."""


class Unpacking(Protocol):
    """An archive that is being unpacked."""

    def write(self, data: memoryview, /) -> int:
        """Take more of the archive, all of ``data``. Raises InvalidArchive."""

    def finish(self) -> int:
        """The archive is complete; the count of its members. Raises InvalidArchive."""


class FilesBackend(Protocol):
    """A file system."""

    def list(self, path: str, depth: int) -> Iterator[FileInfo]:
        """The entries of a directory, ``depth`` levels of them. Raises before the first."""

    def info(self, path: str) -> FileInfo:
        """What is at ``path``; links are followed."""

    def open(self, path: str) -> BinaryIO:
        """A regular file, open for reading, unbuffered, with a descriptor."""

    def replace(
        self, path: str, conditions: Conditions = UNCONDITIONAL
    ) -> AbstractContextManager[BinaryIO]:
        """A file for the new content of ``path``, which takes effect when the block is left.

        If the block raises, nothing has changed. Missing directories are made. Raises
        PreconditionFailed, at the beginning or at the end.
        """

    def uploaded(self, path: str) -> UploadedFile:
        """What is said of a file just written."""

    def etag(self, path: str) -> str:
        """The validator of a regular file, quoted as in headers."""

    def make_folder(self, path: str, mode: str) -> None:
        """Make a directory and what is missing above it. Raises BadRequest for a wrong mode."""

    def delete(self, path: str, recursive: bool) -> None:
        """Delete; of a symbolic link the link. A directory needs ``recursive``."""

    def move(self, source: str, destination: str) -> str:
        """Rename to a name that isn't there yet; what went wrong after that, or an empty text."""

    def set_permissions(self, path: str, mode: str, owner: str, group: str) -> None:
        """Change what isn't empty, all or nothing. Raises BadRequest."""

    def search_names(self, options: SearchOptions) -> Findings:
        """The paths of files and directories whose names match the glob, as JSON strings."""

    def search_lines(self, options: SearchOptions) -> Findings:
        """The lines that hold the text: :class:`toolbox_files.models.Match` as JSON."""

    def partial_upload(self, path: str, upload_id: str) -> ResumableUpload:
        """The upload to ``path`` that the client calls ``upload_id``, begun or not."""

    def pack(self, path: str, kind: ArchiveFormat) -> Iterator[bytes]:
        """A directory's content as tar, compressed by gzip, zstd or not.

        An empty block says that there is nothing for a moment. What can't be read once the first
        block is there doesn't end it.
        """

    def unpack(
        self, path: str, outside_links: bool = False, gone: Callable[[], bool] = bool
    ) -> AbstractContextManager[Unpacking]:
        """Unpack a tar, compressed in any way the backend knows, into a directory.

        Nothing is written outside; symbolic links that lead there are made only with
        ``outside_links``. ``gone`` tells whether nobody waits any more, which ends it.
        """

    def watch(self, path: str, recursive: bool, force: bool) -> SocketHandler:
        """Tell a WebSocket what changes at and below ``path``: lists of :class:`Change` as JSON.

        File systems whose changes can't all be seen are refused unless ``force``.
        """

"""The Protocol of a backend of the group ``files``.

Paths are text as clients send them (see :mod:`toolbox_files.names`); relative ones are resolved
against the service's working directory. Every method may raise FileNotFound, FileAccessDenied,
InvalidFilePath, Conflict, InsufficientStorage and FileReadFailed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO
from typing import Protocol

from toolbox.sockets.handler import SocketHandler
from toolbox_files.conditions import UNCONDITIONAL
from toolbox_files.conditions import Conditions
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import FileInfo
from toolbox_files.models import SearchOptions
from toolbox_files.models import UploadedFile
from toolbox_files.page_models import GlobOptions
from toolbox_files.page_models import GrepOptions
from toolbox_files.page_models import TreePlace


class SearchResults(Protocol):
    """The results of a search: blocks of JSON values, each value followed by a newline.

    A block may end anywhere. An empty block means that nothing was found for a moment, time to
    check that the client is still connected. ``truncated`` is ``limit`` or ``time`` if that bound
    ended the search, else empty; it is set after the iteration.
    """

    truncated: str

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Stop the search, if it is still running."""


class ResumableUpload(Protocol):
    """An upload in pieces.

    Its content is kept until it is completed or canceled, or until ``max_age`` seconds after its
    last piece (0: forever).
    """

    max_age: int

    def offset(self) -> int:
        """Return the number of bytes received."""

    def appending(self, offset: int) -> AbstractContextManager[BinaryIO]:
        """Open the file to append to. Raises WrongOffset unless ``offset`` bytes were received."""

    def complete(self, sha256: str, conditions: Conditions) -> None:
        """Replace the target with the content. Raises ChecksumMismatch, PreconditionFailed."""

    def cancel(self) -> None:
        """Delete the content."""


class Unpacking(Protocol):
    """An archive that is being unpacked."""

    def write(self, data: memoryview, /) -> int:
        """Unpack all of ``data``; return its size. Raises InvalidArchive."""

    def finish(self) -> int:
        """Complete the archive; return the number of members. Raises InvalidArchive."""


class Changes(Protocol):
    """Changes of files by their names below one directory, made by ``commit`` or not at all.

    Names that lead out of the directory, by ``..``, as absolute paths or by links, raise
    InvalidFilePath.
    """

    def read(self, name: str) -> bytes | None:
        """Return a file as it is now, None if there is none. Raises ContentTooLarge."""

    def write(self, name: str, content: bytes, executable: bool | None, like: str = "") -> None:
        """Give a file new content; None as ``executable`` leaves its mode.

        A new file gets the mode of the file ``like``, if given.
        """

    def remove(self, name: str) -> None:
        """Delete a file, and the directories that are empty then."""

    def commit(self) -> None:
        """Make all changes.

        Raises PreconditionFailed if a file that was read has changed since, and any error of a
        write; nothing has changed then.
        """


class FilesBackend(Protocol):
    """A file system."""

    def list(self, path: str, depth: int) -> Iterator[FileInfo]:
        """Yield the entries of a directory, ``depth`` levels deep. Raises before the first."""

    def info(self, path: str) -> FileInfo:
        """Return the metadata of a file or directory; links are followed."""

    def open(self, path: str) -> BinaryIO:
        """Open a regular file for reading, unbuffered, with a file descriptor."""

    def writing(
        self, path: str, conditions: Conditions = UNCONDITIONAL
    ) -> AbstractContextManager[BinaryIO]:
        """Open a file for the new content of ``path``, which replaces the old when the block ends.

        If the block raises, nothing changes. Missing directories are created. Raises
        PreconditionFailed, when the block begins or when it ends.
        """

    def uploaded_file(self, path: str) -> UploadedFile:
        """Return the response to an upload to ``path``."""

    def etag(self, path: str) -> str:
        """Return the entity tag of a regular file, quoted as in headers."""

    def make_folder(self, path: str, mode: str) -> None:
        """Make a directory and its missing parents. Raises BadRequest for an invalid mode."""

    def delete(self, path: str, recursive: bool) -> None:
        """Delete a file or a symbolic link, or with ``recursive`` a directory."""

    def remove_folder(self, path: str) -> None:
        """Delete a directory that is empty; Conflict is raised for another."""

    def move(self, source: str, destination: str) -> str:
        """Rename a file or directory to a name that doesn't exist.

        Returns the error message if the source could not be deleted afterward, else ``""``.
        """

    def set_permissions(self, path: str, mode: str, owner: str, group: str) -> None:
        """Change what isn't empty, or nothing at all on an error. Raises BadRequest."""

    def link_target(self, path: str) -> str | None:
        """Return where a symbolic link leads, as it is written; None for anything else."""

    def attributes(self, path: str, prefix: str) -> dict[str, str]:
        """Return the extended attributes whose names begin with ``prefix``, without it.

        There are none where they are not supported.
        """

    def set_attributes(self, path: str, prefix: str, values: dict[str, str]) -> None:
        """Replace the extended attributes whose names begin with ``prefix``.

        Raises NotSupported.
        """

    def search_names(self, options: SearchOptions) -> SearchResults:
        """Find files and directories whose names match a glob: their paths, as JSON strings."""

    def search_lines(self, options: SearchOptions) -> SearchResults:
        """Find lines that contain a text: :class:`toolbox_files.models.Match`, as JSON."""

    def grep(self, options: GrepOptions, after: TreePlace | None) -> SearchResults:
        """Find lines that match: a page of :class:`toolbox_files.page_models.GrepMatch`.

        The last value is a :class:`toolbox_files.page_models.PageEnd`, without a newline. The page
        begins after ``after``, the place of the end of the one before.
        """

    def glob(self, options: GlobOptions, after: TreePlace | None) -> SearchResults:
        """Find files by their paths: a page of JSON strings, which ends as that of ``grep``."""

    def changing(self, path: str) -> AbstractContextManager[Changes]:
        """Change files below the directory ``path``, all or none of them."""

    def partial_upload(self, path: str, upload_id: str) -> ResumableUpload:
        """Return the upload to ``path`` with the client's id ``upload_id``, begun or not."""

    def pack(self, path: str, kind: ArchiveFormat) -> Iterator[bytes]:
        """Yield a directory's content as tar, compressed by gzip, zstd or not.

        An empty block means that nothing was read for a moment. Files that can't be read don't
        raise once the first block was yielded.
        """

    def unpack(
        self, path: str, outside_links: bool = False, disconnected: Callable[[], bool] = bool
    ) -> AbstractContextManager[Unpacking]:
        """Unpack a tar archive, in any compression that the backend supports, into a directory.

        Nothing is written outside; symbolic links that lead there are made only with
        ``outside_links``. ``disconnected`` reports whether to give up, because the client did.
        """

    def watch(self, path: str, recursive: bool, force: bool) -> SocketHandler:
        """Return a handler that sends changes at and below ``path``: lists of :class:`Change`.

        File systems whose changes can't all be seen are refused unless ``force``.
        """

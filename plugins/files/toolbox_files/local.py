"""The backend ``local``: the file system of this machine."""

from __future__ import annotations

import errno
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from toolbox.lifecycle import Context
from toolbox.response import file_etag
from toolbox_files.abandoned import Uploads
from toolbox_files.archives import Unpacker
from toolbox_files.archives import pack
from toolbox_files.archives import unpacking
from toolbox_files.changing import delete
from toolbox_files.changing import make_folder
from toolbox_files.changing import parse_mode
from toolbox_files.changing import set_permissions
from toolbox_files.conditions import UNCONDITIONAL
from toolbox_files.conditions import Conditions
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.fileinfo import describe
from toolbox_files.listing import list_directory
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import FileInfo
from toolbox_files.models import SearchOptions
from toolbox_files.models import UploadedFile
from toolbox_files.moving import move
from toolbox_files.names import absolute
from toolbox_files.names import to_path
from toolbox_files.reading import open_regular
from toolbox_files.resumable import PartialUpload
from toolbox_files.searching import Search
from toolbox_files.searching import find_ripgrep
from toolbox_files.settings import LocalSettings
from toolbox_files.watching import Watch
from toolbox_files.writing import replacing

SWEEP = 900
"""Seconds between two looks for abandoned uploads, at most."""


class LocalFiles:
    """See :class:`toolbox_files.backend.FilesBackend`."""

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self._context = context
        self._uploads = Uploads(settings.upload_max_age, settings.state_dir)
        if settings.upload_max_age:
            self._sweep_uploads()
        self._base = context.work_dir
        self._ripgrep = find_ripgrep()

    def _path(self, text: str) -> Path:
        path = to_path(text, self._base)
        if text.endswith("/"):
            _check_directory(path)
        return path

    def _file(self, text: str) -> Path:
        """The path of a file to be written, which may be new."""
        if text.endswith("/"):
            raise InvalidFilePath("the path of a file doesn't end with a slash")
        return self._path(text)

    def list(self, path: str, depth: int) -> Iterator[FileInfo]:
        with file_errors():
            yield from list_directory(self._path(path), depth)

    def info(self, path: str) -> FileInfo:
        with file_errors():
            return describe(self._path(path), path)

    def open(self, path: str) -> BinaryIO:
        return open_regular(self._path(path))

    def replace(
        self, path: str, conditions: Conditions = UNCONDITIONAL
    ) -> AbstractContextManager[BinaryIO]:
        return replacing(self._file(path), conditions.check)

    def uploaded(self, path: str) -> UploadedFile:
        full = absolute(self._path(path))
        return UploadedFile(name=full.rpartition("/")[2], path=full)

    def etag(self, path: str) -> str:
        with file_errors():
            return f'"{file_etag(self._path(path).stat())}"'

    def make_folder(self, path: str, mode: str) -> None:
        with file_errors():
            make_folder(self._path(path), parse_mode(mode))

    def delete(self, path: str, recursive: bool) -> None:
        with file_errors():
            delete(self._path(path), path, recursive)

    def move(self, source: str, destination: str) -> str:
        with file_errors():
            return move(self._path(source), self._path(destination))

    def set_permissions(self, path: str, mode: str, owner: str, group: str) -> None:
        with file_errors():
            set_permissions(self._path(path), mode, owner, group)

    def search_names(self, options: SearchOptions) -> Search:
        return Search("names", options, self._base, "")

    def search_lines(self, options: SearchOptions) -> Search:
        return Search("lines", options, self._base, self._ripgrep)

    def partial_upload(self, path: str, upload_id: str) -> PartialUpload:
        return PartialUpload(self._file(path), upload_id, self._uploads)

    def _sweep_uploads(self) -> None:
        self._context.pool.submit(self._uploads.sweep)
        seconds = min(self._uploads.max_age / 4, SWEEP)
        self._timer = self._context.loop.call_later(seconds, self._sweep_uploads)

    def close(self) -> None:
        """Forget no upload any more."""
        if self._uploads.max_age:
            self._timer.cancel()

    def pack(self, path: str, kind: ArchiveFormat) -> Iterator[bytes]:
        return pack(self._path(path), kind)

    def unpack(
        self, path: str, outside_links: bool = False, gone: Callable[[], bool] = bool
    ) -> AbstractContextManager[Unpacker]:
        return unpacking(self._path(path), outside_links, gone)

    def watch(self, path: str, recursive: bool, force: bool) -> Watch:
        context = self._context
        return Watch(self._path(path), recursive, force, context.loop, context.pool)


def _check_directory(path: Path) -> None:
    """Raise InvalidFilePath if something else is there: as the kernel does for ``file/``, but a
    ``Path`` drops its last slash.
    """
    with file_errors(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "", str(path))

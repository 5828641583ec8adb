"""The backend ``local``: the file system of this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_files.errors import file_errors
from toolbox_files.fileinfo import describe
from toolbox_files.listing import list_directory
from toolbox_files.models import FileInfo
from toolbox_files.models import UploadedFile
from toolbox_files.names import absolute
from toolbox_files.names import to_path
from toolbox_files.reading import open_regular
from toolbox_files.writing import replacing


class LocalFiles:
    """See :class:`toolbox_files.backend.FilesBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._base = context.work_dir

    def _path(self, text: str) -> Path:
        return to_path(text, self._base)

    def list(self, path: str, depth: int) -> list[FileInfo]:
        with file_errors():
            return list_directory(self._path(path), depth)

    def info(self, path: str) -> FileInfo:
        with file_errors():
            return describe(self._path(path), path)

    def open(self, path: str) -> BinaryIO:
        return open_regular(self._path(path))

    def replace(self, path: str) -> AbstractContextManager[BinaryIO]:
        return replacing(self._path(path))

    def uploaded(self, path: str) -> UploadedFile:
        full = absolute(self._path(path))
        return UploadedFile(name=full.rpartition("/")[2], path=full)

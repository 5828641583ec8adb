"""The backend ``local``: the file system of this machine."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from toolbox.atomic.writing import replacing
from toolbox.lifecycle import Context
from toolbox.response import file_etag
from toolbox.sockets.loop import Timer
from toolbox_files.conditions import UNCONDITIONAL
from toolbox_files.conditions import Conditions
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import FileInfo
from toolbox_files.models import SearchOptions
from toolbox_files.models import UploadedFile
from toolbox_files.names import absolute
from toolbox_files.names import to_path
from toolbox_files.names import to_text
from toolbox_files.page_models import GlobOptions
from toolbox_files.page_models import GrepOptions
from toolbox_files.page_models import TreePlace
from toolbox_files.read.info import file_info
from toolbox_files.read.listing import list_directory
from toolbox_files.read.regular_file import open_regular
from toolbox_files.search.process import SearchProcess
from toolbox_files.search.process import find_ripgrep
from toolbox_files.search.process import search
from toolbox_files.search.process import search_page
from toolbox_files.settings import LocalSettings
from toolbox_files.tree.archives import Unpacker
from toolbox_files.tree.archives import pack
from toolbox_files.tree.archives import unpacking
from toolbox_files.tree.attributes import attributes
from toolbox_files.tree.attributes import link_target
from toolbox_files.tree.attributes import set_attributes
from toolbox_files.tree.deleting import delete
from toolbox_files.tree.deleting import remove_folder
from toolbox_files.tree.directories import make_folder
from toolbox_files.tree.moving import move
from toolbox_files.tree.permissions import parse_mode
from toolbox_files.tree.permissions import set_permissions
from toolbox_files.watch.socket import WatchSocket
from toolbox_files.write.registry import UploadRegistry
from toolbox_files.write.resumable import PartialUpload
from toolbox_files.write.transaction import Transaction
from toolbox_files.write.transaction import changing

SWEEP_INTERVAL = 900
"""Seconds between two searches for expired uploads, at most."""


class LocalFiles:
    """See :class:`toolbox_files.backend.FilesBackend`."""

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self._context = context
        self._base = context.work_dir
        self._ripgrep = find_ripgrep()
        self._changing = threading.Lock()
        self._uploads = UploadRegistry(settings.upload_max_age, settings.state_dir)
        self._sweep_timer: Timer | None = None
        if settings.upload_max_age:
            self._sweep_uploads()

    def close(self) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    def _sweep_uploads(self) -> None:
        # On the pool: file systems may block, and this runs on the loop.
        self._context.pool.submit(self._uploads.sweep)
        seconds = min(self._uploads.max_age / 4, SWEEP_INTERVAL)
        self._sweep_timer = self._context.loop.call_later(seconds, self._sweep_uploads)

    def list(self, path: str, depth: int) -> Iterator[FileInfo]:
        with file_errors():
            yield from list_directory(self._path(path), depth)

    def info(self, path: str) -> FileInfo:
        with file_errors():
            return file_info(self._path(path), path)

    def open(self, path: str) -> BinaryIO:
        return open_regular(self._path(path))

    @contextlib.contextmanager
    def writing(self, path: str, conditions: Conditions = UNCONDITIONAL) -> Iterator[BinaryIO]:
        target = self._new_file(path)
        # file_errors is outermost: the rename at the end of the block may fail, too.
        with file_errors(target), replacing(target, conditions.check) as file:
            yield file

    def uploaded_file(self, path: str) -> UploadedFile:
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

    def remove_folder(self, path: str) -> None:
        with file_errors():
            remove_folder(self._path(path), path)

    def move(self, source: str, destination: str) -> str:
        with file_errors():
            return move(self._path(source), self._path(destination))

    def set_permissions(self, path: str, mode: str, owner: str, group: str) -> None:
        with file_errors():
            set_permissions(self._path(path), mode, owner, group)

    def link_target(self, path: str) -> str | None:
        with file_errors():
            target = link_target(self._path(path))
            return None if target is None else to_text(target)

    def attributes(self, path: str, prefix: str) -> dict[str, str]:
        with file_errors():
            return attributes(self._path(path), prefix)

    def set_attributes(self, path: str, prefix: str, values: dict[str, str]) -> None:
        with file_errors():
            set_attributes(self._path(path), prefix, values)

    def search_names(self, options: SearchOptions) -> SearchProcess:
        return search("names", options, self._base, "")

    def search_lines(self, options: SearchOptions) -> SearchProcess:
        return search("lines", options, self._base, self._ripgrep)

    def grep(self, options: GrepOptions, after: TreePlace | None) -> SearchProcess:
        with file_errors():
            return search_page("grep", options, self._base, after)

    def glob(self, options: GlobOptions, after: TreePlace | None) -> SearchProcess:
        with file_errors():
            return search_page("glob", options, self._base, after)

    def changing(self, path: str) -> AbstractContextManager[Transaction]:
        return changing(self._path(path), self._changing)

    def partial_upload(self, path: str, upload_id: str) -> PartialUpload:
        return PartialUpload(self._new_file(path), upload_id, self._uploads)

    def pack(self, path: str, kind: ArchiveFormat) -> Iterator[bytes]:
        return pack(self._path(path), kind)

    def unpack(
        self, path: str, outside_links: bool = False, disconnected: Callable[[], bool] = bool
    ) -> AbstractContextManager[Unpacker]:
        return unpacking(self._path(path), outside_links, disconnected)

    def watch(self, path: str, recursive: bool, force: bool) -> WatchSocket:
        context = self._context
        return WatchSocket(self._path(path), recursive, force, context.loop, context.pool)

    def _path(self, text: str) -> Path:
        path = to_path(text, self._base)
        if text.endswith("/"):
            _check_directory(path)
        return path

    def _new_file(self, text: str) -> Path:
        """Return the path of a file to be written, which may not exist yet."""
        if text.endswith("/"):
            raise InvalidFilePath("the path of a file can't end with a slash")
        return self._path(text)


def _check_directory(path: Path) -> None:
    """Raise InvalidFilePath if ``path`` exists and is not a directory.

    The kernel does so for ``file/``, but a ``Path`` drops its trailing slash.
    """
    with file_errors(path):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "", str(path))

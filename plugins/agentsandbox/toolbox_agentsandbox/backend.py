"""The Protocol of a backend of the group ``agentsandbox``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO
from typing import Protocol

from toolbox_agentsandbox.engines import FileInfo
from toolbox_agentsandbox.models import ExecuteRequest
from toolbox_agentsandbox.models import ExecutionResult
from toolbox_agentsandbox.models import Metadata


class Runtime(Protocol):
    """Runs commands and keeps files below one directory.

    Paths are relative to that; a leading slash means it, too. Every method raises NotSupported if
    the group that it needs isn't served, and those with a path Forbidden if that leads outside.
    """

    def execute(
        self, request: ExecuteRequest, is_disconnected: Callable[[], bool]
    ) -> ExecutionResult:
        """Run a command and wait for its end."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""

    def writing(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for its new content, which replaces the old when the block ends."""

    def info(self, path: str) -> FileInfo:
        """Return the metadata of a file or directory."""

    def list(self, path: str) -> Iterator[FileInfo]:
        """Yield the entries of a directory."""

    def delete(self, path: str, recursive: bool) -> None:
        """Delete a file or a directory; with ``recursive`` one that isn't empty."""

    def metadata(self) -> Metadata:
        """Return what the runtime tells of itself."""

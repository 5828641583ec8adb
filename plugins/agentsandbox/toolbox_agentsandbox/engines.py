"""The backends of other groups, as far as they are used here.

Groups don't import each other, so these Protocols name what is needed of ``process`` and ``files``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO
from typing import Protocol
from typing import cast

import msgspec

from toolbox.lifecycle import Context


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command, as the group ``process`` reads it."""

    command: str
    cwd: str | None = None
    envs: dict[str, str | None] | None = None
    timeout: float | None = None


class Job(Protocol):
    """A command, running or ended."""

    exit_code: int | None


class Finished(Protocol):
    """A command that has ended."""

    @property
    def job(self) -> Job: ...


class Text(Protocol):
    """The text of a stream."""

    @property
    def text(self) -> str: ...


class Commands(Protocol):
    """Commands that a request waits for."""

    def execute(
        self, request: Command, is_disconnected: Callable[[], bool], separate: bool
    ) -> AbstractContextManager[Finished]: ...

    def text(self, job: Job, stream: int | None) -> Text: ...


class Jobs(Protocol):
    """All jobs, by id."""

    def get(self, job_id: str) -> Job: ...


class ProcessEngine(Protocol):
    """The backend of the group ``process``."""

    commands: Commands
    jobs: Jobs


class FileInfo(Protocol):
    """The metadata of a file, links followed."""

    name: str
    size: int
    mode: str
    permissions: str
    is_dir: bool
    modified_at: str


class FilesEngine(Protocol):
    """The backend of the group ``files``."""

    def list(self, path: str, depth: int) -> Iterator[FileInfo]: ...

    def info(self, path: str) -> FileInfo: ...

    def open(self, path: str) -> BinaryIO: ...

    def writing(self, path: str) -> AbstractContextManager[BinaryIO]: ...

    def delete(self, path: str, recursive: bool) -> None: ...

    def remove_folder(self, path: str) -> None: ...


def process_of(context: Context) -> ProcessEngine:
    """Return the backend of the group ``process``. Raises NotSupported."""
    return cast(ProcessEngine, context.backend_of("process"))


def files_of(context: Context) -> FilesEngine:
    """Return the backend of the group ``files``. Raises NotSupported."""
    return cast(FilesEngine, context.backend_of("files"))

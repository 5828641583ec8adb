"""The backends of other groups, as far as they are used here.

Groups don't import each other, so these Protocols name what is needed of ``process`` and ``files``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO
from typing import Protocol
from typing import cast

import msgspec

from toolbox.lifecycle import Context


class Execute(msgspec.Struct, frozen=True, kw_only=True):
    """A command, as the group ``process`` reads it."""

    command: str
    cwd: str | None = None
    envs: dict[str, str | None] | None = None
    timeout: float | None = None


class CreateTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal to create, as the group ``process`` reads it."""

    id: str
    cwd: str | None = None
    envs: dict[str, str | None] | None = None
    cols: int | None = None
    rows: int | None = None
    lazy_start: bool | None = None


class Chunk(Protocol):
    """Consecutive bytes of output."""

    offset: int
    data: bytes


class Spool(Protocol):
    """The output of a job."""

    end: int

    def read(self, offset: int, size: int) -> Chunk: ...


class Done(Protocol):
    """Set when a job has ended and its output is complete."""

    def is_set(self) -> bool: ...


class Job(Protocol):
    """A program, running or ended."""

    exit_code: int | None
    spool: Spool
    done: Done

    def follow(self, listener: Callable[[], object]) -> None: ...

    def unfollow(self, listener: Callable[[], object]) -> None: ...


class Terminal(Job, Protocol):
    """A shell on a terminal."""

    def write(self, data: bytes) -> int: ...


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
        self, request: Execute, is_disconnected: Callable[[], bool], separate: bool
    ) -> AbstractContextManager[Finished]: ...

    def text(self, job: Job, stream: int | None) -> Text: ...


class Terminals(Protocol):
    """The terminals, by id."""

    def create(self, request: CreateTerminal) -> Terminal: ...

    def connect(self, terminal_id: str) -> Terminal: ...

    def delete(self, terminal_id: str) -> None: ...


class ProcessEngine(Protocol):
    """The backend of the group ``process``."""

    commands: Commands
    terminals: Terminals


class FilesEngine(Protocol):
    """The backend of the group ``files``."""

    def open(self, path: str) -> BinaryIO: ...

    def writing(self, path: str) -> AbstractContextManager[BinaryIO]: ...

    def make_folder(self, path: str, mode: str) -> None: ...


def process_of(context: Context) -> ProcessEngine:
    """Return the backend of the group ``process``. Raises NotSupported."""
    return cast(ProcessEngine, context.backend_of("process"))


def files_of(context: Context) -> FilesEngine:
    """Return the backend of the group ``files``. Raises NotSupported."""
    return cast(FilesEngine, context.backend_of("files"))

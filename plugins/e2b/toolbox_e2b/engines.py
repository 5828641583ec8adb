"""The backends of other groups, as far as they are used here.

Groups don't import each other, so these Protocols name what is needed of ``process`` and ``files``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from typing import BinaryIO
from typing import Protocol
from typing import cast

import msgspec

from toolbox.lifecycle import Context
from toolbox.sockets.handler import SocketHandler


class Chunk(Protocol):
    """Consecutive bytes of one stream of a job's output: 0 is standard output."""

    offset: int
    stream: int
    data: bytes
    end: int


class Spool(Protocol):
    """A job's output."""

    end: int

    def read(self, offset: int, size: int) -> Chunk: ...


class Done(Protocol):
    """Set when a job has ended and its output is complete."""

    def is_set(self) -> bool: ...


class Stdin(Protocol):
    """Input on its way to a program."""

    pending: int
    closed: bool

    def when_drained(self, callback: Callable[[], object]) -> None: ...


class Job(Protocol):
    """A program, running or ended."""

    id: str
    pid: int | None
    exit_code: int | None
    reason: str | None
    spool: Spool
    done: Done
    stdin: Stdin | None

    def follow(self, listener: Callable[[], object]) -> None: ...

    def unfollow(self, listener: Callable[[], object]) -> None: ...


class StartJob(msgspec.Struct, frozen=True, kw_only=True):
    """A command to start, as the group ``process`` reads it."""

    command: str | None = None
    argv: list[str] | None = None
    id: str | None = None
    cwd: str | None = None
    envs: dict[str, str] | None = None
    timeout: float | None = None
    stdin: bool = False


class CreateTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal to create, as the group ``process`` reads it."""

    id: str
    cwd: str | None = None
    envs: dict[str, str] | None = None
    cols: int | None = None
    rows: int | None = None
    lazy_start: bool | None = None


class TerminalSize(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's size, as the group ``process`` reads it."""

    cols: int
    rows: int


class Jobs(Protocol):
    """The jobs of the group ``process``."""

    def get(self, job_id: str) -> Job: ...

    def start(self, request: StartJob) -> tuple[Job, str]: ...

    def signal(self, job_id: str, number: int, tree: bool) -> None: ...

    def write(self, job_id: str, data: bytes, eof: bool) -> None: ...


class Terminals(Protocol):
    """The terminals of the group ``process``."""

    def create(self, request: CreateTerminal) -> Job: ...

    def resize(self, terminal_id: str, size: TerminalSize) -> object: ...

    def delete(self, terminal_id: str) -> None: ...


class ProcessEngine(Protocol):
    """The backend of the group ``process``."""

    jobs: Jobs
    terminals: Terminals


class FileInfo(Protocol):
    """The metadata of a file, links followed."""

    name: str
    path: str
    size: int
    mode: str
    permissions: str
    is_dir: bool
    owner: str
    group: str
    modified_at: str


class FilesEngine(Protocol):
    """The backend of the group ``files``."""

    def list(self, path: str, depth: int) -> Iterator[FileInfo]: ...

    def info(self, path: str) -> FileInfo: ...

    def link_target(self, path: str) -> str | None: ...

    def attributes(self, path: str, prefix: str) -> dict[str, str]: ...

    def set_attributes(self, path: str, prefix: str, values: dict[str, str]) -> None: ...

    def open(self, path: str) -> BinaryIO: ...

    def writing(self, path: str) -> AbstractContextManager[BinaryIO]: ...

    def uploaded_file(self, path: str) -> Any: ...

    def make_folder(self, path: str, mode: str) -> None: ...

    def delete(self, path: str, recursive: bool) -> None: ...

    def move(self, source: str, destination: str) -> str: ...

    def watch(self, path: str, recursive: bool, force: bool) -> SocketHandler: ...


class SystemMetrics(Protocol):
    """Resources of the machine, of the group ``info``."""

    timestamp_unix: int
    cpu_count: int
    cpu_used_pct: float
    mem_total: int
    mem_used: int
    mem_cache: int
    disk_total: int
    disk_used: int


class InfoEngine(Protocol):
    """The backend of the group ``info``."""

    def metrics(self) -> SystemMetrics: ...


def process_of(context: Context) -> ProcessEngine:
    """Return the backend of the group ``process``. Raises NotSupported."""
    return cast(ProcessEngine, context.backend_of("process"))


def files_of(context: Context) -> FilesEngine:
    """Return the backend of the group ``files``. Raises NotSupported."""
    return cast(FilesEngine, context.backend_of("files"))


def info_of(context: Context) -> InfoEngine:
    """Return the backend of the group ``info``. Raises NotSupported."""
    return cast(InfoEngine, context.backend_of("info"))

"""The state of what runs, as it travels from one version of the service to the next.

To change it: a new field needs a default, and is ignored by a version that doesn't know it; for
everything else raise :data:`FORMAT`, with which an upgrade to a version that reads another one is
refused. ``fd`` and the like are indexes into the parcel's descriptors, -1 for none.
"""

from __future__ import annotations

import msgspec

from toolbox_process.definition import Definition
from toolbox_process.models import Limits
from toolbox_process.services.models import State as ServiceStates

FORMAT = 2
"""Version of :class:`ProcessState`."""


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The base of all parts."""


class BlockState(State):
    """A block of a spool: in a file, or ``data``."""

    start: int
    length: int
    fd: int = -1
    data: bytes = b""


class FileState(State):
    """The file that output is also written to; without ``fd`` it is complete, or failed."""

    path: str
    written: int
    identity: tuple[int, int]
    error: str = ""
    fd: int = -1


class SpoolState(State):
    """Output. ``changes`` are the offsets of :class:`StreamChanges`, eight bytes each, ``errors``
    the bytes of standard error.
    """

    errors: int = 0
    file: FileState | None = None

    blocks: list[BlockState] = []
    passed: int = 0
    memory_limit: int = 0
    first: int = 0
    current: int = 0
    changes: bytes = b""
    end: int = 0
    floor: int = 0
    discarded: bool = False
    section: list[tuple[int, int, int]] = []
    """Of a service's run, instead of all the rest: the totals before it, and its own if it is
    complete.
    """


class PipeState(State):
    """A pipe that output comes from."""

    fd: int
    stream: int
    burst: int = 1


class ReaderState(State):
    """The pipes of a job, and what is held back as the beginning of a secret, by stream."""

    pipes: list[PipeState] = []
    name: bytes = b""
    shown: bytes = b""
    held: dict[int, bytes] = {}


class WriterState(State):
    """An input. Without ``fd`` it is the job's terminal."""

    fd: int = -1
    queue: list[bytes] = []
    accepted: int = 0
    ending: bool = False
    closed: bool = False


class ChildState(State):
    """A program of a launcher on this machine. ``init`` is that of bubblewrap."""

    pid: int
    started: int
    status: int | None = None
    mark: tuple[str, int, int] = ("", 0, 0)
    terminal: int = -1
    slave: int = -1
    init: int = 0
    applied: dict[str, str] = {}
    groups: dict[str, str] = {}
    """Control groups of its limits, by controller."""


class JobState(State):
    """A job that runs, or one that has ended: then ``age`` is in seconds since."""

    id: str
    kind: str
    label: str
    started: float
    spool: SpoolState
    reader: ReaderState
    stdin: WriterState | None = None
    limits: Limits | None = None
    child: ChildState | None = None
    counts: tuple[int, int] = (0, 0)
    ending: str | None = None
    left: float | None = None
    """Seconds until its time limit."""
    ended: float | None = None
    exit_code: int | None = None
    reason: str | None = None
    age: float | None = None
    """None for an ended job that is not in the history any more."""


class TerminalState(State):
    """A terminal; ``job`` has no child if it waits for its first client."""

    job: JobState
    name: str
    cwd: str | None
    envs: dict[str, str]
    lazy_start: bool
    deleted: bool
    size: tuple[int, int]
    shell: str
    was_attached: bool
    replied_to: int
    created_at: str
    rest: bytes = b""
    """The beginning of a query that the terminal replies to."""


class JournalState(State):
    """The journal of a session. Paths are strings."""

    name: str
    directory: str | None = None
    files: list[tuple[str, int]] = []
    fd: int = -1
    size: int = 0
    number: int = 0
    waiting: dict[int, bytes] = {}
    rooms: dict[int, tuple[str, int]] = {}
    removed: bool = False


class CommandState(State):
    """A command of a session. ``journal`` is number, size, cut and whether that is noted."""

    job: JobState
    wait: bool
    echo: bool
    cwd: str | None
    envs: dict[str, str]
    journal: tuple[int, int, bool, bool]
    early: list[bytes] = []
    running: bool = False
    completing: tuple[int, str] | None = None
    cancelled: bool = False
    spares_session: bool = False
    snapshot: tuple[list[int], tuple[int, int]] | None = None
    counts: tuple[int, int] = (0, 0)
    script: list[str] | None = None


class ShellState(State):
    """The shell of a session, and what has come from it so far."""

    job: JobState
    complaint: bytes
    directory: str | None
    offset: int
    line: bytes


class SessionState(State):
    """A session. ``queue`` and ``current`` are ids of its commands."""

    id: str
    arguments: list[str]
    journal: JournalState
    shell: ShellState
    commands: list[CommandState]
    token: str
    number: int
    scripts: str
    ended: bool
    deleted: bool
    queue: list[str] = []
    current: str | None = None
    replaced: list[ChildState] = []


class ServiceState(State):
    """A service. ``runs`` are those that are listed, and the last one, if there was any, which has
    begun ``seconds`` ago.
    """

    name: str
    definition: Definition
    declared: bool
    state: ServiceStates
    since: float
    end: tuple[int | None, str, str]
    spool: SpoolState
    runs: list[JobState] = []
    running: bool = False
    seconds: float = 0.0
    late: bool = False
    restarts: int = 0
    failures: int = 0
    pause: float = 0.0


class DirectoryState(State):
    """The directories of a kind, by their parents, with the descriptors that lock them."""

    made: dict[str, tuple[str, int]] = {}
    adopted: dict[str, int] = {}


class ProcessState(State):
    """Everything of the backend ``local``."""

    directories: list[DirectoryState]
    journals_left: int
    journals_number: int
    jobs: list[JobState]
    sessions: list[SessionState]
    terminals: list[TerminalState]
    services: list[ServiceState] = []
    requests: dict[str, bytes] = {}
    """Digests of requests with an id of the client's: one that is repeated finds its job."""

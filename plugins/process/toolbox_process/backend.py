"""What a backend of the group ``process`` can do.

Everything that runs is seen through :class:`Output`; how it is run is the backend's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

from toolbox.loop import Loop
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_process.interpreter_models import CodeRequest
from toolbox_process.interpreter_models import ContextInfo
from toolbox_process.interpreter_models import CreateContextRequest
from toolbox_process.interpreter_run import Run
from toolbox_process.interpreter_run import RunClient
from toolbox_process.job import Job
from toolbox_process.job import Reason
from toolbox_process.job_models import StartJobRequest
from toolbox_process.models import CodeRunRequest
from toolbox_process.models import ExecuteRequest
from toolbox_process.pty_models import CreatePtyRequest
from toolbox_process.pty_models import PtyInfo
from toolbox_process.pty_models import PtySize
from toolbox_process.session_models import CommandInfo
from toolbox_process.session_models import SessionExecuteRequest
from toolbox_process.session_models import SessionInfo
from toolbox_process.spool import Spool
from toolbox_process.waiting import Gone
from toolbox_process.waiting import never


class Output(Protocol):
    """Something that runs or has run, by what comes out of it."""

    loop: Loop
    spool: Spool
    done: threading.Event
    """Set when it has ended and its output is complete."""

    @property
    def id(self) -> str:
        """Unique in this service."""

    @property
    def exit_code(self) -> int | None:
        """None until it has ended."""

    @property
    def reason(self) -> Reason | None:
        """Why it has ended, None until then."""

    def follow(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` on the loop, now, after each output and at the end. Raises
        TooManyFollowers.
        """

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`follow`."""


class SessionCommand(Output, Protocol):
    """One command of a session."""

    def info(self) -> CommandInfo:
        """What clients are shown."""


class Session(Protocol):
    """A shell that keeps its state."""

    @property
    def reason(self) -> Reason | None:
        """Why it has ended, None until then."""

    def info(self) -> SessionInfo:
        """What clients are shown."""

    def command(self, command_id: str) -> SessionCommand:
        """One of its commands. Raises ProcessNotFound."""


class Sessions(Protocol):
    """The sessions by id."""

    def create(self, session_id: str, at_home: bool) -> dict[str, str]:
        """Start one, in the home directory if ``at_home``; headers for the answer. Raises
        BadRequest, AlreadyExists.
        """

    def list(self) -> Sequence[Session]:
        """All but the entrypoint's, the oldest first."""

    def get(self, session_id: str) -> Session:
        """Raises ProcessNotFound."""

    def entrypoint(self) -> SessionCommand:
        """The program the service was told to run. Raises ProcessNotFound."""

    def delete(self, session_id: str) -> None:
        """End it with all it has started. Raises BadRequest, ProcessNotFound."""

    def execute(
        self, session_id: str, request: SessionExecuteRequest, gone: Gone = never
    ) -> SessionCommand:
        """Run a command, and wait for its end if the request does, and while not ``gone()``. Raises
        BadRequest, ProcessNotFound, SessionEnded, TooManyWaiting, ClientLeft.
        """

    def send_input(self, session_id: str, command_id: str, data: str) -> None:
        """Write a line. Raises BadRequest, ProcessNotFound, SessionEnded, CommandCompleted,
        InputUnavailable.
        """


class TerminalClient(Protocol):
    """Who is shown a terminal's output. Compared by identity."""

    at: int
    """The offset it has been sent everything before."""

    def pump(self) -> None:
        """Send what there is. On the loop."""


class Terminal(Output, Protocol):
    """A program on a pseudo-terminal, and who is connected to it."""

    deleted: bool
    """Whether it has ended because it was deleted."""
    note: dict[str, str]
    """Headers for the answer of its creation."""

    def attach_at(self, offset: int | None) -> int:
        """Where a client begins: at ``offset`` or what is kept after it; without one, the first
        client at the beginning and others at what comes next.
        """

    def attach(self, client: TerminalClient) -> None:
        """Pump ``client`` from now on. Raises TooManyFollowers."""

    def detach(self, client: TerminalClient) -> None:
        """Undo :meth:`attach`."""

    def pump(self) -> None:
        """Pump all clients, and let the program wait while none of them keeps up. On the loop."""

    def write(self, data: bytes) -> int:
        """Send input; the bytes that wait to be read. Raises InputFull, InputClosed."""

    def when_written(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` on the loop, once, when no input waits."""


class Terminals(Protocol):
    """The terminals by id. One that has ended is gone."""

    def create(self, request: CreatePtyRequest) -> Terminal:
        """Raises BadRequest, AlreadyExists, SpawnFailed."""

    def list(self) -> Sequence[PtyInfo]:
        """The oldest first."""

    def get(self, terminal_id: str) -> PtyInfo:
        """Raises ProcessNotFound."""

    def connect(self, terminal_id: str) -> Terminal:
        """Start it if it has not been. Raises ProcessNotFound, SessionEnded, SpawnFailed."""

    def resize(self, terminal_id: str, size: PtySize) -> PtyInfo:
        """Now, or for the start of one that waits for it. Raises SessionEnded, also for an id
        nobody knows.
        """

    def delete(self, terminal_id: str) -> None:
        """End it and everything it has started. Raises ProcessNotFound."""


class Jobs(Protocol):
    """Every job by id: those started here, and whatever else runs or has run lately."""

    def list(self) -> Sequence[Job]:
        """The oldest first."""

    def get(self, job_id: str) -> Job:
        """Raises ProcessNotFound."""

    def start(self, request: StartJobRequest) -> tuple[Job, dict[str, str]]:
        """Start a command, once for each id; headers for the answer. Raises BadRequest,
        AlreadyExists, SpawnFailed.
        """

    def wait(self, job_id: str, timeout: float, gone: Gone = never) -> Job:
        """Wait for its end at most ``timeout`` seconds, and while not ``gone()``. Raises
        ProcessNotFound, TooManyWaiting, ClientLeft.
        """

    def signal(self, job_id: str, number: int, tree: bool) -> None:
        """Send a signal to its first process or to all. Raises BadRequest, ProcessNotFound,
        CommandCompleted.
        """

    def write(self, job_id: str, data: bytes, eof: bool) -> None:
        """Write to its standard input, and close that if ``eof``. Raises ProcessNotFound,
        CommandCompleted, InputUnavailable.
        """

    def end(self, job_id: str) -> Job:
        """End it and everything it has started. Raises ProcessNotFound."""


class Interpreters(Protocol):
    """The interpreter contexts by id."""

    loop: Loop

    def create(self, request: CreateContextRequest) -> tuple[ContextInfo, dict[str, str]]:
        """Start one; headers for the answer. Raises BadRequest, SpawnFailed."""

    def list(self) -> Sequence[ContextInfo]:
        """All but the default one, the oldest first."""

    def delete(self, context_id: str) -> None:
        """End it and all it has started. Raises BadRequest, ProcessNotFound."""

    def submit(self, request: CodeRequest, timeout: int, client: RunClient) -> Run:
        """Run code when its turn has come. Never blocks. Raises BadRequest, ProcessNotFound."""

    def abandon(self, run: Run) -> None:
        """Tell the client of ``run`` nothing more. The run goes on."""


class ProcessBackend(Protocol):
    """Runs programs."""

    max_result: int
    """Bytes of a stream in one JSON answer."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""

    @property
    def terminals(self) -> Terminals:
        """The terminals."""

    @property
    def interpreters(self) -> Interpreters:
        """The interpreter contexts."""

    @property
    def jobs(self) -> Jobs:
        """The jobs."""

    def execute(
        self, request: ExecuteRequest, gone: Gone = never, separate: bool = False
    ) -> Answer | StreamAnswer:
        """Run a command and wait: an ExecuteResponse, with each stream alone if ``separate``.

        What is long may be encoded while it is sent. Once ``gone()``, nobody waits any more, and
        the command goes on. Raises BadRequest, ExecutionTimeout, TooManyWaiting, ClientLeft.
        """

    def run_code(
        self, request: CodeRunRequest, gone: Gone = never, separate: bool = False
    ) -> Answer | StreamAnswer:
        """Run a program and wait: a CodeRunResponse. All as for :meth:`execute`."""

"""The processes that clients of E2B have started, by pid and by tag."""

from __future__ import annotations

import shlex
import threading
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import msgspec

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.linux.clock import awake
from toolbox.settings.variables import is_variable_name
from toolbox_e2b.engines import CreateTerminal
from toolbox_e2b.engines import Job
from toolbox_e2b.engines import StartJob
from toolbox_e2b.engines import TerminalSize
from toolbox_e2b.engines import process_of
from toolbox_e2b.errors import AlreadyThere
from toolbox_e2b.errors import Exhausted
from toolbox_e2b.errors import FailedPrecondition
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.errors import NoSuchProcess
from toolbox_e2b.process.handover import ProcessState
from toolbox_e2b.process.handover import State
from toolbox_e2b.process.models import Config
from toolbox_e2b.process.models import PtySize
from toolbox_e2b.process.models import Selector
from toolbox_e2b.process.models import StartRequest

NO_PID = 1 << 22
"""From here on are pids that no process has (proc_pid_max(5)): for one that has ended at once."""

AHEAD = 1024 * 1024
"""Bytes of input that may wait for a program before whoever writes has to wait, too."""

PIECE = 256 * 1024
LOOK = 0.5
"""Seconds between looks whether the writer's client is still there."""

_SHELLS = ("-i", "-l")
"""The arguments of the shell on a terminal."""


class Process(msgspec.Struct, frozen=True):
    """A process; ``terminal`` is the name of its terminal, empty for none."""

    pid: int
    config: Config
    tag: str | None
    job: Job
    terminal: str = ""
    due: float | None = None
    """The time of :func:`toolbox.linux.clock.awake` at which a terminal's time limit is over."""


class Processes:
    """Starts processes as jobs and terminals of the group ``process``. *Any thread.*"""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._numbers = count(NO_PID)
        self._known: dict[int, Process] = {}
        self._tags: set[str] = set()  # Of those that are being started.
        self._handed_over: list[ProcessState] = []
        self.variables: dict[str, str] = {}
        """Variables for every process that is started from now on."""

    def set_variables(self, variables: dict[str, str]) -> None:
        """Replace the variables of every process that is started from now on.

        Raises InvalidArgument.
        """
        for name, value in variables.items():
            if not is_variable_name(name) or "\0" in value:
                raise InvalidArgument(f"invalid environment variable: {name[:64]!r}")
        self.variables = dict(variables)

    def start(self, request: StartRequest, timeout: float | None) -> Process:
        """Start a process that is ended after ``timeout`` seconds, whoever follows it.

        Raises InvalidArgument, AlreadyThere, NotSupported, and what the group raises.
        """
        # Checked here and not by a type: protobuf knows no required fields.
        config = request.process
        if config is None or not config.cmd:
            raise InvalidArgument("process.cmd is missing")
        envs = {**self.variables, **config.envs}
        # Before anything is started: nothing would have to be ended again.
        with self._reserved(request.tag):
            if request.pty is None:
                job, terminal = self._start_job(request, config, envs, timeout), ""
            else:
                job, terminal = self._open_terminal(request.pty.size, config, envs, timeout)
            due = awake() + timeout if terminal and timeout else None
            return self._add(job, config, request.tag, terminal, due)

    def _start_job(
        self, request: StartRequest, config: Config, envs: dict[str, str], timeout: float | None
    ) -> Job:
        # The program takes the place of the shell that a job is: its pid and its status.
        command: str | None = f"exec {shlex.join([config.cmd, *config.args])}"
        argv = None
        if config.cmd.startswith("-"):
            # Some shells take it for an option of exec, and not all know "--" there.
            command, argv = None, [config.cmd, *config.args]
        # Without the field the client is an old one, which may write at any time.
        stdin = request.stdin is not False
        wanted = StartJob(
            command=command, argv=argv, cwd=config.cwd, envs=envs, timeout=timeout, stdin=stdin
        )
        job, _ = process_of(self._context).jobs.start(wanted)
        return job

    def _open_terminal(
        self, size: PtySize | None, config: Config, envs: dict[str, str], timeout: float | None
    ) -> tuple[Job, str]:
        # The group's terminals run its own shell, so another program can't be promised.
        if not set(config.args) <= set(_SHELLS):
            raise InvalidArgument("a terminal runs an interactive login shell, nothing else")
        terminals = process_of(self._context).terminals
        # Terminals have names in their group; here they have pids only.
        name = f"e2b-{uuid.uuid4()}"
        cells = size or PtySize()
        job = terminals.create(
            CreateTerminal(
                id=name,
                cwd=config.cwd,
                envs=envs,
                cols=_cells(cells.cols),
                rows=_cells(cells.rows),
            )
        )
        # Jobs have a limit of their own; terminals live as long as somebody wants them.
        if timeout:
            self._end_later(job, timeout)
        return job, name

    # An upgrade in place

    def export(self) -> State:
        """Return what runs, for the next version of the service."""
        now = awake()
        return State(
            processes=[
                ProcessState(
                    pid=process.pid,
                    config=process.config,
                    tag=process.tag,
                    job=process.job.id,
                    terminal=process.terminal,
                    left=None if process.due is None else max(0.0, process.due - now),
                )
                for process in self.list()
            ],
            variables=self.variables,
        )

    def restore(self, state: State) -> None:
        """Know the processes that an earlier version has started."""
        self.variables = state.variables
        # Their jobs are looked for when they are needed: the group may come after this one.
        self._handed_over = state.processes

    def _find_jobs(self) -> None:
        """Enter what was handed over. With the lock."""
        states, self._handed_over = self._handed_over, []
        for each in states:
            try:
                job = process_of(self._context).jobs.get(each.job)
            except ToolboxError:
                continue  # It has ended, or could not be taken over.
            due = None
            if each.left is not None:
                due = awake() + each.left
                self._end_later(job, each.left)
            self._known[each.pid] = Process(
                each.pid, each.config, each.tag, job, each.terminal, due
            )

    def _end_later(self, job: Job, timeout: float) -> None:
        loop, pool = self._context.loop, self._context.pool

        def end() -> None:
            if not job.done.is_set():
                process_of(self._context).jobs.signal(job.id, 9, tree=True)

        # Ending it looks at all processes, which may take long: not on the loop.
        loop.call_soon(lambda: loop.call_later(timeout, lambda: pool.submit(end)))

    def _add(
        self, job: Job, config: Config, tag: str | None, terminal: str, due: float | None
    ) -> Process:
        with self._lock:
            self._find_jobs()
            # Those that have ended go here, so that their number stays bounded.
            self._known = {
                pid: known for pid, known in self._known.items() if not known.job.done.is_set()
            }
            # A job has no pid once it has ended, which a short one may have by now.
            pid = getattr(job, "pid", None) or next(self._numbers)
            process = Process(pid, config, tag, job, terminal, due)
            self._known[pid] = process
            return process

    @contextmanager
    def _reserved(self, tag: str | None) -> Iterator[None]:
        """Keep a tag from others until its process is known. Raises AlreadyThere."""
        if tag is None:
            yield
            return
        # A tag stands for one process at a time; of an ended one it may be used again.
        with self._lock:
            self._find_jobs()
            if tag in self._tags or any(process.tag == tag for process in self._running()):
                raise AlreadyThere(f"a process with the tag {tag[:64]!r} is running")
            self._tags.add(tag)
        try:
            yield
        finally:
            with self._lock:
                self._tags.discard(tag)

    def _running(self) -> Iterator[Process]:
        return (process for process in self._known.values() if not process.job.done.is_set())

    def list(self) -> list[Process]:
        """Return those that run, the oldest first."""
        with self._lock:
            self._find_jobs()
            return [*self._running()]

    def find(self, selector: Selector | None) -> Process:
        """Return a process that runs. Raises NoSuchProcess, InvalidArgument."""
        if selector is None or (selector.pid is None) == (selector.tag is None):
            raise InvalidArgument("a process is selected by pid or by tag")
        for process in self.list():
            if selector.pid == process.pid or (selector.tag and selector.tag == process.tag):
                return process
        # Cut: what a client sends comes back to it, but not megabytes of it.
        named = selector.pid if selector.tag is None else repr(selector.tag[:64])
        raise NoSuchProcess(f"process {named} not found")

    def signal(self, process: Process, number: int) -> None:
        """Send a signal to a process and all that it has started."""
        # All of them: a shell that is killed alone leaves its commands running.
        process_of(self._context).jobs.signal(process.job.id, number, tree=True)

    def write(self, process: Process, data: bytes, is_disconnected: Callable[[], bool]) -> None:
        """Write input, as fast as the process reads. Raises FailedPrecondition, Exhausted."""
        jobs = process_of(self._context).jobs
        for start in range(0, len(data), PIECE):
            self._wait_for_room(process, is_disconnected)
            jobs.write(process.job.id, data[start : start + PIECE], eof=False)

    def _wait_for_room(self, process: Process, is_disconnected: Callable[[], bool]) -> None:
        stdin = process.job.stdin
        if stdin is None:
            raise FailedPrecondition(f"process {process.pid} takes no input")
        if stdin.pending < AHEAD or stdin.closed:
            return
        # In short steps: the program may read a part, or end, or the client leave.
        drained = threading.Event()
        stdin.when_drained(drained.set)
        while stdin.pending >= AHEAD and not drained.wait(LOOK):
            if process.job.done.is_set() or stdin.closed or is_disconnected():
                return
            if self._context.stopping.is_set():
                raise Exhausted("the process has not read its input")

    def close_input(self, process: Process) -> None:
        """Let a process see the end of its input. Raises FailedPrecondition."""
        if process.job.stdin is None or process.terminal:
            raise FailedPrecondition(f"process {process.pid} has no input that could be closed")
        process_of(self._context).jobs.write(process.job.id, b"", eof=True)

    def resize(self, process: Process, size: PtySize) -> None:
        """Change the size of a process's terminal. Raises FailedPrecondition."""
        if not process.terminal:
            raise FailedPrecondition(f"process {process.pid} has no terminal")
        cells = TerminalSize(cols=_cells(size.cols) or 1, rows=_cells(size.rows) or 1)
        process_of(self._context).terminals.resize(process.terminal, cells)


def _cells(number: int) -> int | None:
    """Return a number of columns or rows, None for the default. Raises InvalidArgument."""
    if number > 1000:
        raise InvalidArgument("a terminal has at most 1000 columns and rows")
    return number or None

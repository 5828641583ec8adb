"""Jobs, as a backend offers them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

from toolbox.errors import ToolboxError
from toolbox_process.engine.job import Job
from toolbox_process.engine.output import FlowControl
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.jobs.models import StartJobRequest


class Jobs(Protocol):
    """All jobs by id: those started here, and all else that runs or has run lately."""

    def list(self) -> Sequence[Job]:
        """Return all jobs, the oldest first."""

    def get(self, job_id: str) -> Job:
        """Return a job. Raises ProcessNotFound."""

    def start(
        self, request: StartJobRequest, wait: float = 0, is_disconnected: IsDisconnected = never
    ) -> tuple[Job, str]:
        """Start a program, once for each id; return the job and a note for the client.

        Wait for its end at most ``wait`` seconds. Raises BadRequest, AlreadyExists, SpawnFailed,
        and with ``wait`` as :meth:`wait`.
        """

    def wait(self, job_id: str, timeout: float, is_disconnected: IsDisconnected = never) -> Job:
        """Wait for its end at most ``timeout`` seconds, until the client ``is_disconnected()``.

        Raises ProcessNotFound, TooManyWaiting, ClientLeft.
        """

    def signal(self, job_id: str, number: int, tree: bool) -> None:
        """Send a signal to its first process or to all. Raises BadRequest, ProcessNotFound,
        CommandCompleted.
        """

    def signal_soon(
        self, job_id: str, number: int, tree: bool, sent: Callable[[ToolboxError | None], object]
    ) -> None:
        """As :meth:`signal`, without blocking: call ``sent(error)`` on the loop once it is sent, or
        with the error instead of raising it.
        """

    def resize(self, job_id: str, rows: int, columns: int) -> None:
        """Change the size of its terminal. Raises BadRequest, ProcessNotFound, CommandCompleted."""

    def flow(self, job_id: str) -> FlowControl:
        """Return what makes it wait for its clients. Raises BadRequest, ProcessNotFound."""

    def write(self, job_id: str, data: bytes, eof: bool) -> None:
        """Write to its standard input, and close that if ``eof``. Raises ProcessNotFound,
        CommandCompleted, InputUnavailable.
        """

    def end(self, job_id: str) -> Job:
        """End it and everything it has started; return it. Raises ProcessNotFound."""


class HasJobs(Protocol):
    """The part of a backend that the operations of jobs need."""

    @property
    def jobs(self) -> Jobs:
        """The jobs."""

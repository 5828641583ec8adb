"""Commands and code that a request waits for, as a backend offers them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from typing import NamedTuple
from typing import Protocol

from toolbox_process.commands.models import CodeRunRequest
from toolbox_process.commands.models import ExecuteRequest
from toolbox_process.engine.output import Output
from toolbox_process.engine.output import Text
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never


class Finished(NamedTuple):
    """A command or program that has ended."""

    job: Output
    note: str
    """A remark for the client, empty if there is none."""
    charts: list[dict[str, Any]]


class Commands(Protocol):
    """Runs commands and programs and waits for them.

    Both methods return a context: the output stays readable until that is left. Entering it runs
    the command, with standard output and error told apart if ``separate``. Once
    ``is_disconnected()``, the request stops waiting and the command goes on. Raises BadRequest,
    SpawnFailed, ExecutionTimeout, TooManyWaiting, ClientLeft.
    """

    def execute(
        self,
        request: ExecuteRequest,
        is_disconnected: IsDisconnected = never,
        separate: bool = False,
    ) -> AbstractContextManager[Finished]:
        """Run a command in the shell."""

    def run_code(
        self,
        request: CodeRunRequest,
        is_disconnected: IsDisconnected = never,
        separate: bool = False,
    ) -> AbstractContextManager[Finished]:
        """Run a program given as source."""

    def text(self, job: Output, stream: int | None) -> Text:
        """Return a stream of ``job``, 0 is standard output, or all in the order it came (None), as
        far as it fits into a response.
        """


class HasCommands(Protocol):
    """The part of a backend that the operations for commands and code need."""

    max_result: int
    """Bytes of a stream in one JSON response."""

    @property
    def commands(self) -> Commands:
        """Commands and code that a request waits for."""

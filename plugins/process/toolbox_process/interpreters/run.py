"""A run: code that is queued or running in an interpreter, and its outcome."""

from __future__ import annotations

from enum import Enum
from enum import auto
from typing import Protocol

import msgspec

from toolbox.sockets.loop import Timer
from toolbox_process.engine.output import FlowControl
from toolbox_process.engine.output import Follower
from toolbox_process.engine.spool import Spool


class Failure(msgspec.Struct, frozen=True):
    """The exception that has ended the code."""

    name: str
    value: str
    traceback: str


class Ending(Enum):
    """The ways a run can end."""

    COMPLETED = auto()
    """The code has ended, perhaps with an exception."""

    INTERPRETER_EXITED = auto()
    """Its process has ended, or the context was deleted."""

    TIMED_OUT = auto()
    NOT_STARTED = auto()
    """No process could be started."""

    TOO_MANY_WAITING = auto()


class Outcome(msgspec.Struct, frozen=True):
    """The ending of a run, and the exception if there was one."""

    ending: Ending
    failure: Failure | None = None
    reason: str = ""


class RunContext(Protocol):
    """The context that a run belongs to."""

    def abandon(self, run: Run) -> None:
        """Stop sending the run's output to its client; the run goes on."""


class Run:
    """Code to run. Its state changes on the loop only."""

    def __init__(
        self,
        code: str,
        envs: dict[str, str],
        timeout: int,
        client: Follower,
        context: RunContext,
    ) -> None:
        self.context = context
        self.code = code
        self.envs = envs
        self.timeout = timeout
        self.client: Follower | None = client
        self.number = 0
        self.spool: Spool | None = None
        """Its output from the client's offset on, once it has begun."""
        self.flow: FlowControl | None = None
        self.end: int | None = None
        """The offset after its output, once it has ended."""
        self.outcome: Outcome | None = None
        self.timed_out = False
        self.timer: Timer | None = None

    def keep_pace(self) -> None:
        """Let the code wait or go on, depending on how far its client is. On the loop."""
        if self.flow is not None:
            self.flow.adjust()

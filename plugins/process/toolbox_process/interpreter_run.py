"""Code on its way through an interpreter, and what came of it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from toolbox.loop import Timer
from toolbox_process.spool import Spool


class Failure(msgspec.Struct, frozen=True):
    """The exception code has ended with."""

    name: str
    value: str
    traceback: str


class Outcome(msgspec.Struct, frozen=True):
    """How a run has ended: the WebSocket's close code, and what was raised if anything."""

    code: int
    failure: Failure | None = None
    reason: str = ""


class RunClient(Protocol):
    """Who is told about a run."""

    at: int
    """The offset up to which it has been sent the output."""

    def pump(self) -> None:
        """Send what there is. On the loop."""


class RunContext(Protocol):
    """Where it runs."""

    def abandon(self, run: Run) -> None:
        """Its client has gone; it goes on."""


class Run:
    """Code to run, and what came of it."""

    def __init__(
        self,
        code: str,
        envs: dict[str, str],
        timeout: int,
        client: RunClient,
        context: RunContext,
    ) -> None:
        self.context = context
        self.code = code
        self.envs = envs
        self.timeout = timeout
        self.client: RunClient | None = client
        self.number = 0
        self.spool: Spool | None = None
        self.end: int | None = None
        self.outcome: Outcome | None = None
        self.timed_out = False
        self.timer: Timer | None = None

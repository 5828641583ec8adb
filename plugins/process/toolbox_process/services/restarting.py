"""The decision what follows the end of a service's program."""

from __future__ import annotations

from typing import NamedTuple

from toolbox_process.definition import Definition
from toolbox_process.engine.ends import Reason

STOPPED = "stopped"
"""The reason of an end that was asked for."""

NOT_READY = "not-ready"
"""The reason of an end because the sign of readiness didn't come in time."""

BACKGROUND = "background"
"""The reason of an end with processes left: it has put itself in the background."""


class End(NamedTuple):
    """The end of a run, with a message in words, empty if the reason says everything."""

    exit_code: int | None
    reason: str
    message: str = ""

    @property
    def is_failure(self) -> bool:
        """True unless the program has ended by itself, with exit code 0 and everything."""
        return self.reason != Reason.EXITED or self.exit_code != 0


class Delays:
    """The seconds to wait before each restart."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures

    def reset(self) -> None:
        """Begin with the first delay again."""
        self.failures = 0

    def next(self, definition: Definition, seconds: float) -> float:
        """Return the delay after a run of so many seconds."""
        backoff = definition.backoff
        # By its length, not by "ready": one that crashes on its first request is ready each time.
        if seconds >= backoff.stable:
            self.failures = 0
        # A bounded exponent: a float overflows at 2**1024.
        delay = backoff.first * 2.0 ** min(self.failures, 64)
        self.failures += 1
        return min(delay, max(backoff.first, backoff.limit))


def starts_again(definition: Definition, end: End) -> bool:
    """Report whether the definition asks for a restart after that end."""
    return definition.restart == "always" or (definition.restart == "on-failure" and end.is_failure)

"""Errors of the group ``process``; codes are those of the Daytona Toolbox API."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Gone
from toolbox.errors import InvalidBody
from toolbox.errors import NotFound
from toolbox.errors import RequestTimeout
from toolbox.errors import Unavailable

__all__ = [
    "AlreadyExists",
    "BadRequest",
    "ClientLeft",
    "CommandCompleted",
    "ExecutionTimeout",
    "InputUnavailable",
    "InvalidBody",
    "NotEnded",
    "ProcessNotFound",
    "ProgramMissing",
    "ServiceNotFound",
    "SessionEnded",
    "SpawnFailed",
    "TooManyFollowers",
    "TooManyWaiting",
]

END_REASON = "X-Toolbox-End-Reason"
"""The header with the reason why a job has ended."""

JOB = "X-Toolbox-Job"
"""The header with a job's id."""


def _reason_header(reason: str) -> dict[str, str]:
    return {END_REASON: reason} if reason else {}


class ExecutionTimeout(RequestTimeout):
    """The command exceeded its time limit and was killed."""

    code = "PROCESS_EXECUTION_TIMEOUT"

    def __init__(self, message: str, job_id: str) -> None:
        super().__init__(message, {JOB: job_id})


class ClientLeft(RequestTimeout):
    """The client has disconnected."""


class ProcessNotFound(NotFound):
    """The session, command, terminal, context or job does not exist."""

    code = "PROCESS_NOT_FOUND"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message, _reason_header(reason))


class ServiceNotFound(NotFound):
    """There is no service of that name."""

    code = "SERVICE_NOT_FOUND"


class SessionEnded(Gone):
    """The shell of the session or terminal has ended."""

    code = "SESSION_ENDED"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message, _reason_header(reason))


class CommandCompleted(Gone):
    """The command has ended and takes no input."""

    code = "COMMAND_ALREADY_COMPLETED"


class AlreadyExists(Conflict):
    """The id is already used."""


class InputUnavailable(Conflict):
    """The command takes no input, or its input buffer is full."""


class NotEnded(Unavailable):
    """The job or something it has started could not be ended."""


class TooManyWaiting(Unavailable):
    """Too many requests wait for commands."""


class TooManyFollowers(Unavailable):
    """Too many clients follow the job or terminal."""


class SpawnFailed(BadRequest):
    """The program can't be started: missing, not executable, or no such working directory.

    ``execute`` and ``code-run`` report it as exit code -1.
    """


class ProgramMissing(SpawnFailed):
    """A program that the service itself needs is not installed: a shell, Python."""

    status = 501
    code = "PROGRAM_MISSING"

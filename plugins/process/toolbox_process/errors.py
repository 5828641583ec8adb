"""What can go wrong in the group ``process``; codes are the Daytona Toolbox API's."""

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
    "SessionEnded",
    "SpawnFailed",
    "TooManyFollowers",
    "TooManyWaiting",
]

TRY_AGAIN_LATER = 1013
"""The WebSocket close code for :class:`TooManyFollowers` (IANA's registry)."""


class ExecutionTimeout(RequestTimeout):
    """The command was still running when its time was over; it was ended."""

    code = "PROCESS_EXECUTION_TIMEOUT"


class ClientLeft(RequestTimeout):
    """There is nobody to answer any more."""


class ProcessNotFound(NotFound):
    """No such session, command, terminal, context or job."""

    code = "PROCESS_NOT_FOUND"


class SessionEnded(Gone):
    """The shell of the session or terminal has ended."""

    code = "SESSION_ENDED"


class CommandCompleted(Gone):
    """The command has ended, so it takes no input."""

    code = "COMMAND_ALREADY_COMPLETED"


class AlreadyExists(Conflict):
    """The id is taken."""


class InputUnavailable(Conflict):
    """The command reads no input, or has not read what it was sent before."""


class NotEnded(Unavailable):
    """It, or something it has started, goes on: the system hasn't let us end it."""


class TooManyWaiting(Unavailable):
    """As many requests wait for commands as may."""


class TooManyFollowers(Unavailable):
    """As many clients follow the job or terminal as may. Its socket is closed 1013."""


class SpawnFailed(BadRequest):
    """The program can't be started: missing, not executable, no such working directory.

    ``execute`` and ``code-run`` answer it as exit code -1.
    """


class ProgramMissing(SpawnFailed):
    """What the service itself needs for it is not installed: any shell, Python."""

    status = 500
    code = "INTERNAL_SERVER_ERROR"

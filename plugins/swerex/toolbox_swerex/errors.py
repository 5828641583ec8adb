"""Exceptions that clients raise again: the names of their classes are part of the wire."""

from __future__ import annotations

from typing import Any

from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError

STATUS = 511

_SWEREX = "swerex.exceptions"


class RemoteError(Exception):
    """An exception for the client: of the class ``class_path``, with a message."""

    def __init__(
        self, class_path: str, message: str, extra_info: dict[str, Any] | None = None
    ) -> None:
        message = ToolboxError.hide(message)
        super().__init__(message)
        self.class_path = class_path
        self.message = message
        self.extra_info = extra_info or {}


def command_timeout(message: str) -> RemoteError:
    """Return the error for a command that exceeded its time."""
    return RemoteError(f"{_SWEREX}.CommandTimeoutError", message)


def non_zero_exit(message: str) -> RemoteError:
    """Return the error for a command that failed and is checked."""
    return RemoteError(f"{_SWEREX}.NonZeroExitCodeError", message)


def no_exit_code(message: str) -> RemoteError:
    """Return the error for a command whose exit code can't be known."""
    return RemoteError(f"{_SWEREX}.NoExitCodeError", message)


def incorrect_syntax(message: str, stdout: str, stderr: str) -> RemoteError:
    """Return the error for a command that bash can't parse."""
    info = {"bash_stdout": stdout, "bash_stderr": stderr}
    return RemoteError(f"{_SWEREX}.BashIncorrectSyntaxError", message, info)


def session_exists(name: str) -> RemoteError:
    """Return the error for a second session of a name."""
    return RemoteError(f"{_SWEREX}.SessionExistsError", f"session {name!r} already exists")


def no_session(name: str, why: str = "does not exist") -> RemoteError:
    """Return the error for a session that is not there."""
    return RemoteError(f"{_SWEREX}.SessionDoesNotExistError", f"session {name!r} {why}")


def not_initialized(message: str) -> RemoteError:
    """Return the error for a shell that could not be started."""
    return RemoteError(f"{_SWEREX}.SessionNotInitializedError", message)


def from_error(error: ToolboxError) -> RemoteError:
    """Return what Python's own functions raise where a backend raised ``error``."""
    name = "OSError"
    if isinstance(error, NotFound):
        name = "FileNotFoundError"
    elif isinstance(error, Forbidden):
        name = "PermissionError"
    return RemoteError(f"builtins.{name}", error.message)

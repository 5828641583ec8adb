"""Commands outside of sessions, as ``subprocess.run`` would run them."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable

from toolbox.errors import BadRequest
from toolbox.errors import RequestTimeout
from toolbox_swerex.engines import Execute
from toolbox_swerex.engines import ProcessEngine
from toolbox_swerex.errors import RemoteError
from toolbox_swerex.errors import command_timeout
from toolbox_swerex.errors import non_zero_exit
from toolbox_swerex.models import Command
from toolbox_swerex.models import CommandResult

OUT, ERR = 0, 1
NOT_FOUND = 127
SHORTEST = 0.001
"""Seconds of the shortest timeout."""

_TIMEOUT = "PROCESS_EXECUTION_TIMEOUT"


def execute(
    engine: ProcessEngine, command: Command, is_disconnected: Callable[[], bool]
) -> CommandResult:
    """Run a command and wait for its end. Raises RemoteError."""
    mark = secrets.token_hex(8)
    # To the group zero is no limit; here it is no time at all, as in sessions.
    timeout = command.timeout if command.timeout is None else max(command.timeout, SHORTEST)
    request = Execute(command=_line(command, mark), cwd=command.cwd, timeout=timeout)
    try:
        with engine.commands.execute(request, is_disconnected, separate=True) as finished:
            text = engine.commands.text
            result = CommandResult(
                stdout=text(finished.job, OUT).text,
                stderr=text(finished.job, ERR).text,
                exit_code=finished.job.exit_code,
            )
    except RequestTimeout as error:
        if error.code != _TIMEOUT:
            raise
        raise command_timeout(f"timeout after {command.timeout} s while running") from None
    except BadRequest as error:
        # The working directory: a program that is missing is seen by the shell.
        raise RemoteError("builtins.FileNotFoundError", error.message) from None
    # Shells say it in their own words, and exit with a code that programs use, too.
    if result.exit_code == NOT_FOUND and mark in result.stderr + result.stdout:
        raise RemoteError("builtins.FileNotFoundError", f"no such program: {_words(command)[0]!r}")
    if command.check and result.exit_code:
        raise non_zero_exit(_failure(command, result))
    return result


def _words(command: Command) -> list[str]:
    words = [command.command] if isinstance(command.command, str) else command.command
    if not words or (not command.shell and not words[0]):
        raise RemoteError("builtins.ValueError", "the command is empty")
    if any("\0" in word for word in words):
        raise RemoteError("builtins.ValueError", "embedded null byte")
    return words


def _line(command: Command, mark: str) -> str:
    """Return the command for a POSIX shell; it prints ``mark`` if there is no such program."""
    words = _words(command)
    found = ""
    if command.shell:
        words = ["/bin/sh", "-c", *words]
    elif command.env is None:
        name = shlex.quote(words[0])
        found = f"command -v {name} >/dev/null || {{ echo {mark} >&2; exit {NOT_FOUND}; }}; "
    if command.env is not None:
        if any(not name or "=" in name or "\0" in name + value for name, value in _pairs(command)):
            raise RemoteError("builtins.ValueError", "illegal environment variable name")
        words = ["env", "-i", *(f"{name}={value}" for name, value in _pairs(command)), *words]
    # By the shell, not by the order in which two pipes are read.
    merged = "exec 2>&1; " if command.merge_output_streams else ""
    return f"{merged}{found}exec {shlex.join(words)}"


def _pairs(command: Command) -> list[tuple[str, str]]:
    return list((command.env or {}).items())


def _failure(command: Command, result: CommandResult) -> str:
    message = (
        f"command {command.command!r} failed with exit code {result.exit_code}; "
        f"stdout: {result.stdout!r}; stderr: {result.stderr!r}"
    )
    return f"{command.error_msg}: {message}" if command.error_msg else message

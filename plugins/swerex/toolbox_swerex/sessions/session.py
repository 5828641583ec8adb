"""A session of a client: actions in one shell, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import TypeVar

from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.linux.clock import awake
from toolbox_swerex.errors import RemoteError
from toolbox_swerex.errors import command_timeout
from toolbox_swerex.errors import no_exit_code
from toolbox_swerex.errors import non_zero_exit
from toolbox_swerex.errors import not_initialized
from toolbox_swerex.models import BashAction
from toolbox_swerex.models import BashInterrupt
from toolbox_swerex.models import CreateSession
from toolbox_swerex.models import Observation
from toolbox_swerex.sessions.patterns import compile_expected
from toolbox_swerex.sessions.patterns import plain
from toolbox_swerex.sessions.reader import LOOK
from toolbox_swerex.sessions.reader import NotInTime
from toolbox_swerex.sessions.reader import ShellEnded
from toolbox_swerex.sessions.shell import FOREVER
from toolbox_swerex.sessions.shell import INTERRUPT
from toolbox_swerex.sessions.shell import START
from toolbox_swerex.sessions.shell import SUSPEND
from toolbox_swerex.sessions.shell import IsDisconnected
from toolbox_swerex.sessions.shell import Shell
from toolbox_swerex.sessions.shell import Standing

PATIENCE = 2.0
"""Seconds for an interrupt to take effect, where the client allows less: machines are busy."""

T = TypeVar("T")


class BashSession:
    """See :class:`toolbox_swerex.sessions.registry.Sessions`."""

    def __init__(self, shell: Shell, check_syntax: Callable[[str], None]) -> None:
        self._shell = shell
        self._check_syntax = check_syntax
        self._turn = threading.Lock()

    def standing(self) -> Standing:
        """Return what another one goes on with."""
        return self._shell.standing()

    @property
    def ended(self) -> bool:
        """True once the shell has ended."""
        return self._shell.terminal.done.is_set()

    def start(self, request: CreateSession, is_disconnected: IsDisconnected) -> str:
        """Start the shell; return the output of the files that it sources."""
        output = b""
        try:
            self._shell.start(is_disconnected)
            for path in request.startup_source:
                number = self._shell.run(f"source {path}")
                deadline = awake() + request.startup_timeout
                output += self._shell.wait((), deadline, is_disconnected, number)[0]
        except ShellEnded as error:
            raise not_initialized(f"the shell has ended: {plain(error.output)[-1000:]}") from None
        except NotInTime:
            raise command_timeout("timeout while starting the session") from None
        return plain(output)

    def run(
        self, action: BashAction | BashInterrupt, is_disconnected: IsDisconnected
    ) -> Observation:
        """Run an action. Raises RemoteError."""
        with self._taking_turns(is_disconnected):
            try:
                if isinstance(action, BashInterrupt):
                    return self._interrupt(action, is_disconnected)
                if action.is_interactive_command or action.is_interactive_quit:
                    return self._interact(action, is_disconnected)
                return self._run(action, is_disconnected)
            except ShellEnded as error:
                output = plain(error.output)[-1000:]
                raise no_exit_code(f"the session's shell has ended: {output}") from None

    @contextmanager
    def _taking_turns(self, is_disconnected: IsDisconnected) -> Iterator[None]:
        while not self._turn.acquire(timeout=LOOK):
            if is_disconnected():
                raise RequestTimeout("client disconnected before its turn")
        try:
            yield
        finally:
            self._turn.release()

    def _run(self, action: BashAction, is_disconnected: IsDisconnected) -> Observation:
        self._check_syntax(action.command)
        expected = [compile_expected(text) for text in action.expect]
        number = self._shell.run(action.command)
        with self._timing(action):
            output, match = self._shell.wait(
                expected, _deadline(action.timeout), is_disconnected, number
            )
        text, code = plain(output), None
        # It goes on: there is no exit code yet.
        if match.number < len(expected):
            if action.check == "raise":
                raise no_exit_code(f"{action.command!r} has not ended; its output: {text!r}")
            return Observation(output=text, expect_string=action.expect[match.number])
        if action.check != "ignore":
            code = int(match.groups[0])
        if action.check == "raise" and code:
            raise non_zero_exit(_failure(action.error_msg, action.command, code, text))
        return Observation(output=text, exit_code=code)

    def _interact(self, action: BashAction, is_disconnected: IsDisconnected) -> Observation:
        if action.is_interactive_command and action.is_interactive_quit:
            raise RemoteError("builtins.ValueError", "an action is interactive or quits, not both")
        expected = [compile_expected(text) for text in action.expect]
        self._shell.send(action.command.encode("utf-8", "surrogateescape") + b"\n")
        with self._timing(action):
            output, match = self._shell.wait(expected, _deadline(action.timeout), is_disconnected)
        found = action.expect[match.number] if match.number < len(expected) else ""
        text = plain(output)
        if action.is_interactive_quit:
            self._settle(is_disconnected)
        else:
            # Programs that edit their lines echo them.
            text = text.lstrip().removeprefix(action.command).strip()
        return Observation(output=text, exit_code=0, expect_string=found)

    def _interrupt(self, action: BashInterrupt, is_disconnected: IsDisconnected) -> Observation:
        expected = [compile_expected(text) for text in action.expect]
        seconds = max(action.timeout, PATIENCE)
        # Pagers and debuggers take Ctrl-C for a command; bash can kill what Ctrl-Z has stopped.
        for key in [*[INTERRUPT] * action.n_retry, SUSPEND]:
            self._shell.send(key)
            with suppress(NotInTime):
                output, match = self._shell.wait(expected, awake() + seconds, is_disconnected)
                break
        else:
            raise command_timeout("the session could not be interrupted")
        if key == SUSPEND:
            self._shell.run("kill -9 %%")
        if match.number == len(expected):
            output += self._settle(is_disconnected)
            found = ""
        else:
            found = action.expect[match.number]
        return Observation(output=plain(output).strip(), exit_code=0, expect_string=found)

    def _settle(self, is_disconnected: IsDisconnected) -> bytes:
        try:
            return self._shell.settle(awake() + START, is_disconnected).output
        except NotInTime:
            raise command_timeout("the session has no prompt") from None

    @contextmanager
    def _timing(self, action: BashAction) -> Iterator[None]:
        try:
            yield
        except NotInTime:
            raise command_timeout(
                f"timeout after {action.timeout} s while running {action.command!r}"
            ) from None

    def close(self) -> None:
        """End the shell and everything it has started."""
        with suppress(ToolboxError):  # It may have ended by itself.
            self._shell.close()


def _deadline(timeout: float | None) -> float:
    return FOREVER if timeout is None else awake() + timeout


def _failure(prefix: str, command: str, code: int, output: str) -> str:
    message = f"command {command!r} failed with exit code {code}; its output: {output!r}"
    return f"{prefix}: {message}" if prefix else message

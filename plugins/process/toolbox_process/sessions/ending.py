"""Ending one command of a session, or sending it a signal."""

from __future__ import annotations

import signal

from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import NotEnded
from toolbox_process.sessions.command import SETTLE
from toolbox_process.sessions.command import Command
from toolbox_process.sessions.runner import CommandRunner


def cancel(runner: CommandRunner, command: Command, grace: float) -> None:
    """End one command: what it has started, then, if it still runs, the shell it occupies.

    The session gets another shell in the same directory. Blocks. Raises NotEnded.
    """
    # First: it may start or end at any moment, and must then count as canceled.
    command.cancelled = True
    if command.running:
        runner.engine.surely(lambda: _end_started(runner, command, grace))
    else:
        runner.drop(command)
    if not command.done.wait(SETTLE):
        _end_shell(runner, command, grace)


def _end_started(runner: CommandRunner, command: Command, grace: float) -> None:
    started = runner.shell.job.child.left_since(command.snapshot)
    if started and command.running:  # Otherwise they may be the next command's.
        left = started.end(grace)
        if left:
            raise NotEnded(f"could not be ended: {', '.join(map(str, left))}")


def _end_shell(runner: CommandRunner, command: Command, grace: float) -> None:
    """End the shell alone: background processes of earlier commands go on."""
    shell = runner.shell
    command.spares_session = shell.directory is not None
    # A stopped process handles TERM only when it continues (signal(7)).
    for sig, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, SETTLE)):
        if runner.runs(command) and shell.job.signal(sig):
            shell.job.signal(signal.SIGCONT)
        command.done.wait(seconds)


def send_signal(runner: CommandRunner, command: Command, number: int, tree: bool) -> None:
    """Send a signal to the processes a command has started, with ``tree`` also to their
    descendants.

    The shell gets it, too, if the command has set a trap for it or has started nothing; a shell
    that ends by it is replaced. Raises CommandCompleted, NotEnded.
    """
    if not command.running:
        what = "has ended" if command.done.is_set() else "has not started"
        raise CommandCompleted(f"command {command.id!r} {what}")
    runner.engine.surely(lambda: _send(runner, command, number, tree))


def _send(runner: CommandRunner, command: Command, number: int, tree: bool) -> None:
    shell = runner.shell
    started = shell.job.child.started_since(command.snapshot, tree)
    if command.running:
        if not started or shell.job.child.catches(number):
            command.spares_session = shell.directory is not None
            shell.job.signal(number)
        started.signal(number)

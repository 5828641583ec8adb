"""Ending one command of a session, or sending it a signal."""

from __future__ import annotations

import signal

from toolbox_process.command import SETTLE
from toolbox_process.command import Command
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import NotEnded
from toolbox_process.session import Session
from toolbox_process.tree import Tree
from toolbox_process.tree import send


def cancel(session: Session, command: Command, grace: float) -> None:
    """End one command: what it has started and, if that doesn't, the shell it keeps busy, for which
    the session gets another one in the same directory. Blocks. Raises NotEnded.
    """
    command.cancelled = True
    if command.running:
        session.engine.surely(lambda: _end_started(session, command, grace))
    else:
        session.drop(command)
    if not command.done.wait(SETTLE):
        _end_shell(session, command, grace)


def _end_started(session: Session, command: Command, grace: float) -> None:
    started = session.shell.left_by(command.before, command.since)
    if started and command.running:  # If not, they may be the next command's.
        left = Tree(started, [], sessions=False).end(grace)
        if left:
            raise NotEnded(f"could not be ended: {', '.join(str(each.pid) for each in left)}")


def _end_shell(session: Session, command: Command, grace: float) -> None:
    """End the shell alone: what earlier commands have left in the background goes on."""
    shell = session.shell
    command.spares_session = shell.place is not None
    for sig, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, SETTLE)):
        if session.runs(command) and shell.job.signal(sig):
            shell.job.signal(signal.SIGCONT)
        command.done.wait(seconds)


def send_signal(session: Session, command: Command, number: int, tree: bool) -> None:
    """Send a signal to the processes a command has started, or to all below them too, and to the
    shell if the command has set a trap for it or does everything itself.

    Raises CommandCompleted, NotEnded. A shell that ends by it is replaced.
    """
    if not command.running:
        what = "has ended" if command.done.is_set() else "has not begun"
        raise CommandCompleted(f"command {command.id!r} {what}")
    session.engine.surely(lambda: _send(session, command, number, tree))


def _send(session: Session, command: Command, number: int, tree: bool) -> None:
    shell = session.shell
    started = shell.started(command.before)
    targets = Tree(started, [], sessions=False).members() if tree and started else started
    if command.running:
        if not started or shell.catches(number):
            command.spares_session = shell.place is not None
            shell.job.signal(number)
        send(targets, number)

"""Sessions of a worker that was killed: read-only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from toolbox_process.engine.end_event import EndEvent
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.sessions.models import CommandInfo
from toolbox_process.sessions.models import SessionInfo
from toolbox_process.sessions.replaying import Head
from toolbox_process.sessions.replaying import read_heads
from toolbox_process.sessions.replaying import read_session_id
from toolbox_process.sessions.replaying import replay

CUT_OFF = -1
"""The exit code of a command that ended with its worker: not a success, and not None, so that
clients stop waiting.
"""


class PreviousCommand:
    """A command of a previous worker. See
    :class:`toolbox_process.sessions.protocol.SessionCommand`.

    One that was running ends with :data:`CUT_OFF`, since its exit code is unknown.
    """

    def __init__(self, engine: Engine, directory: Path, head: Head) -> None:
        self._head = head
        self.loop = engine.loop
        self.id = head.id
        self.exit_code: int | None = _exit_code(head)
        self.reason: Reason | None = head.reason or Reason.DAEMON_RESTART
        self.done = EndEvent()
        self.done.set()
        self.spool = engine.new_spool()
        replay(directory, head, self.spool)

    def info(self) -> CommandInfo:
        return _command_info(self._head)

    def follow(self, listener: Callable[[], object]) -> None:
        self.loop.call_soon(listener)

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Do nothing: the listener is called only once."""


class PreviousSession:
    """A session of a previous worker. See :class:`toolbox_process.sessions.protocol.Session`."""

    reason: Reason | None = Reason.DAEMON_RESTART

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self._directory = directory
        self.id = read_session_id(directory)

    @cached_property
    def _heads(self) -> list[Head]:
        # Read on first use: the service should be back soon after a restart.
        heads = read_heads(self._directory)
        return heads[-max(1, self._engine.settings.keep_jobs) :]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self._directory.iterdir())

    def info(self) -> SessionInfo:
        return SessionInfo(
            session_id=self.id, commands=[_command_info(head) for head in self._heads]
        )

    def command(self, command_id: str) -> PreviousCommand:
        for head in self._heads:
            if head.id == command_id:
                return PreviousCommand(self._engine, self._directory, head)
        raise self._engine.not_there("command", command_id)

    def remove(self) -> None:
        """Delete its files."""
        shutil.rmtree(self._directory, ignore_errors=True)


def _exit_code(head: Head) -> int:
    return CUT_OFF if head.exit_code is None else head.exit_code


def _command_info(head: Head) -> CommandInfo:
    return CommandInfo(id=head.id, command=head.text, exit_code=_exit_code(head))


def find_previous_sessions(engine: Engine) -> dict[str, PreviousSession]:
    """Return the sessions left by previous workers, by id.

    The latest of each id, as many as fit within the bound for all output.
    """
    found: dict[str, PreviousSession] = {}
    # The newest first, so that the oldest are dropped beyond the limit.
    left = engine.settings.total_output_limit
    directories = [path for each in engine.journals.directory.adopt() for path in each.iterdir()]
    for directory in sorted(directories, key=_made, reverse=True):
        try:
            session = PreviousSession(engine, directory)
            left -= session.size
        except (OSError, ValueError):
            # A journal without a readable id can't be asked for.
            shutil.rmtree(directory, ignore_errors=True)
            continue
        if left < 0 or session.id in found:
            session.remove()
        else:
            found[session.id] = session
    # Sessions are listed the oldest first.
    return dict(reversed(found.items()))


def _made(directory: Path) -> tuple[int, str]:
    """Sort by the age of the worker, then by number."""
    return directory.parent.stat().st_ctime_ns, directory.name

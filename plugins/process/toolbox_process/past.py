"""Sessions of a worker that was killed: they can be looked at, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from toolbox_process.engine import Engine
from toolbox_process.job import ENDED
from toolbox_process.job import Reason
from toolbox_process.replaying import Head
from toolbox_process.replaying import read_heads
from toolbox_process.replaying import read_session_id
from toolbox_process.replaying import replay
from toolbox_process.session_models import CommandInfo
from toolbox_process.session_models import SessionInfo

CUT_OFF = -1
"""The exit code of what ended with its worker: no success, and who waits for one goes on."""


class PastCommand:
    """See :class:`toolbox_process.backend.SessionCommand`. One that was cut off ends with
    :data:`CUT_OFF`: nobody saw its exit code.
    """

    def __init__(self, engine: Engine, directory: Path, head: Head) -> None:
        self._head = head
        self.loop = engine.loop
        self.id = head.id
        self.exit_code: int | None = _exit_code(head)
        self.reason: Reason | None = head.reason or Reason.DAEMON_RESTART
        self.done = ENDED
        self.spool = engine.new_spool()
        replay(directory, head, self.spool)

    def info(self) -> CommandInfo:
        return _describe(self._head)

    def follow(self, listener: Callable[[], object]) -> None:
        self.loop.call_soon(listener)

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Nothing will be told after the first call."""


class PastSession:
    """See :class:`toolbox_process.backend.Session`."""

    reason: Reason | None = Reason.DAEMON_RESTART

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self._directory = directory
        self.id = read_session_id(directory)

    @cached_property
    def _heads(self) -> list[Head]:
        # Not before somebody looks: the service is to be back soon.
        heads = read_heads(self._directory)
        return heads[-max(1, self._engine.settings.keep_jobs) :]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self._directory.iterdir())

    def info(self) -> SessionInfo:
        return SessionInfo(session_id=self.id, commands=[_describe(each) for each in self._heads])

    def command(self, command_id: str) -> PastCommand:
        for head in self._heads:
            if head.id == command_id:
                return PastCommand(self._engine, self._directory, head)
        raise self._engine.not_there("command", command_id)

    def remove(self) -> None:
        """Delete what is kept of it."""
        shutil.rmtree(self._directory, ignore_errors=True)


def _exit_code(head: Head) -> int:
    return CUT_OFF if head.exit_code is None else head.exit_code


def _describe(head: Head) -> CommandInfo:
    return CommandInfo(id=head.id, command=head.text, exit_code=_exit_code(head))


def find_past(engine: Engine) -> dict[str, PastSession]:
    """The sessions left by workers before this one, by id; the latest of each, within the bound
    for all output.
    """
    found: dict[str, PastSession] = {}
    left = engine.settings.total_output_limit
    directories = [path for each in engine.journals.directory.adopt() for path in each.iterdir()]
    for directory in sorted(directories, key=_made, reverse=True):
        try:
            session = PastSession(engine, directory)
            left -= session.size
        except (OSError, ValueError):
            shutil.rmtree(directory, ignore_errors=True)
            continue
        if left < 0 or session.id in found:
            session.remove()
        else:
            found[session.id] = session
    return dict(reversed(found.items()))


def _made(directory: Path) -> tuple[int, str]:
    """Sorts by the age of the worker, then by number."""
    return directory.parent.stat().st_ctime_ns, directory.name

"""The journals of commands, which are parts of their session's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from toolbox_process.engine.ends import Reason
from toolbox_process.engine.journals.session import CUT
from toolbox_process.engine.journals.session import END
from toolbox_process.engine.journals.session import FRAME
from toolbox_process.engine.journals.session import LIMIT
from toolbox_process.engine.journals.session import SessionJournal
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool


class CommandStanding(NamedTuple):
    """The journal of a command: its size, whether it was cut, and whether that is noted."""

    number: int
    size: int = 0
    cut: bool = False
    cut_noted: bool = False


class Journal:
    """The journal of one command. Used on the loop."""

    def __init__(self, session: SessionJournal, standing: CommandStanding) -> None:
        self._session = session
        self._number, self._size, self._cut, self._cut_noted = standing

    @classmethod
    def begin(cls, session: SessionJournal, command_id: str, text: str) -> Journal:
        """Return the journal of a new command."""
        return cls(session, CommandStanding(session.begin(command_id, text)))

    def standing(self) -> CommandStanding:
        """Return what another journal goes on with."""
        return CommandStanding(self._number, self._size, self._cut, self._cut_noted)

    def append(self, data: bytes, stream: int) -> None:
        """Add output, up to the first :data:`LIMIT` bytes."""
        self._size += FRAME.size + len(data)
        if not self._cut:
            kept = self._size <= LIMIT and self._session.write(stream, self._number, data)
            self._cut = not kept
        if self._cut and not self._cut_noted:
            self._cut_noted = self._session.note_end(self._number, CUT, _end(None, "", True))

    def finish(self, exit_code: int, reason: Reason) -> None:
        """Note the end of the command, whose output is complete."""
        end = _end(exit_code, reason.value, self._cut)
        self._session.note_end(self._number, END, end)


def _end(exit_code: int | None, reason: str, cut: bool) -> bytes:
    return json.dumps([exit_code, reason, cut]).encode()


class JournaledSpool(Spool):
    """A spool that also writes to a journal."""

    def __init__(
        self, memory: int, limit: int, directory: Callable[[int], Path], journal: Journal
    ) -> None:
        super().__init__(memory, limit, directory)
        self._journal = journal

    def append(self, data: bytes, stream: int = OUT) -> None:
        super().append(data, stream)
        if data:
            self._journal.append(data, stream)

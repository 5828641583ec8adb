"""Directories and journals."""

from __future__ import annotations

from pathlib import Path

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.journals.session import Journals
from toolbox_process.engine.journals.session import SessionJournal
from toolbox_process.engine.journals.session import SessionStanding
from toolbox_process.engine.state import DirectoryStanding
from toolbox_process.engine.state import StateDirectory
from toolbox_process.handover.models import DirectoryState
from toolbox_process.handover.models import JournalState


def pack_directory(directory: StateDirectory, parcel: Parcel) -> DirectoryState:
    """Return the state of directories, which are no longer this worker's to delete."""
    standing = directory.standing()
    return DirectoryState(
        made={
            str(parent): (str(path), parcel.add(fd)) for parent, (path, fd) in standing.made.items()
        },
        adopted={str(path): parcel.add(fd) for path, fd in standing.adopted.items()},
    )


def fill_directory(directory: StateDirectory, state: DirectoryState, parcel: Parcel) -> None:
    """Go on with the directories."""
    made = {
        Path(parent): (Path(path), parcel.take(index))
        for parent, (path, index) in state.made.items()
    }
    adopted = {Path(path): parcel.take(index) for path, index in state.adopted.items()}
    directory.resume(DirectoryStanding(made, adopted))


def pack_journal(journal: SessionJournal, parcel: Parcel) -> JournalState:
    """Return the state of a journal."""
    standing = journal.standing()
    return JournalState(
        name=standing.name,
        directory=None if standing.directory is None else str(standing.directory),
        files=[(str(path), size) for path, size in standing.files],
        fd=parcel.add(standing.fd) if standing.fd >= 0 else -1,
        size=standing.size,
        number=standing.number,
        waiting=standing.waiting,
        rooms={number: (str(path), at) for number, (path, at) in standing.rooms.items()},
        removed=standing.removed,
    )


def unpack_journal(
    journals: Journals, session_id: str, state: JournalState, parcel: Parcel
) -> SessionJournal:
    """Return the journal."""
    standing = SessionStanding(
        name=state.name,
        directory=None if state.directory is None else Path(state.directory),
        files=[(Path(path), size) for path, size in state.files],
        fd=parcel.take(state.fd) if state.fd >= 0 else -1,
        size=state.size,
        number=state.number,
        waiting=dict(state.waiting),
        rooms={number: (Path(path), at) for number, (path, at) in state.rooms.items()},
        removed=state.removed,
    )
    return SessionJournal.resume(journals, session_id, standing)

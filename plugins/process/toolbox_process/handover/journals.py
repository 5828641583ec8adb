"""Directories and journals."""

from __future__ import annotations

from pathlib import Path

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.journal import Journals
from toolbox_process.engine.journal import SessionJournal
from toolbox_process.engine.state import StateDirectory
from toolbox_process.handover.models import DirectoryState
from toolbox_process.handover.models import JournalState


def pack_directory(directory: StateDirectory, parcel: Parcel) -> DirectoryState:
    """Return the state of directories, which are no longer this worker's to delete."""
    with directory._lock:
        return DirectoryState(
            made={
                str(parent): (str(path), parcel.add(fd))
                for parent, (path, fd) in directory._made.items()
            },
            adopted={str(path): parcel.add(fd) for path, fd in directory._adopted.items()},
        )


def fill_directory(directory: StateDirectory, state: DirectoryState, parcel: Parcel) -> None:
    """Go on with the directories."""
    with directory._lock:
        for parent, (path, index) in state.made.items():
            # The descriptor keeps the lock, whoever closes another copy of it (flock(2)).
            directory._made[Path(parent)] = Path(path), parcel.take(index)
        for path, index in state.adopted.items():
            directory._adopted[Path(path)] = parcel.take(index)


def pack_journal(journal: SessionJournal, parcel: Parcel) -> JournalState:
    """Return the state of a journal."""
    with journal._lock:
        return JournalState(
            name=journal._name,
            directory=None if journal._directory is None else str(journal._directory),
            files=[(str(path), size) for path, size in journal._files],
            fd=parcel.add(journal._fd) if journal._fd >= 0 else -1,
            size=journal._size,
            number=journal._number,
            waiting=journal._waiting,
            rooms={number: (str(path), at) for number, (path, at) in journal._rooms.items()},
            removed=journal._removed,
        )


def unpack_journal(
    journals: Journals, session_id: str, state: JournalState, parcel: Parcel
) -> SessionJournal:
    """Return the journal."""
    journal = SessionJournal(journals, state.name, session_id)
    journal._directory = None if state.directory is None else Path(state.directory)
    journal._files = [(Path(path), size) for path, size in state.files]
    journal._fd = parcel.take(state.fd) if state.fd >= 0 else -1
    journal._size, journal._number = state.size, state.number
    journal._waiting = dict(state.waiting)
    journal._rooms = {number: (Path(path), at) for number, (path, at) in state.rooms.items()}
    journal._removed = state.removed
    return journal

"""Terminals. Everything here runs on the loop."""

from __future__ import annotations

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.handover.jobs import fill_job
from toolbox_process.handover.jobs import pack_job
from toolbox_process.handover.jobs import watch
from toolbox_process.handover.models import TerminalState
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.registry import LocalTerminals
from toolbox_process.terminals.terminal import LocalTerminal
from toolbox_process.terminals.terminal import TerminalStanding


def pack_terminal(terminal: LocalTerminal, ages: dict[str, float], parcel: Parcel) -> TerminalState:
    """Let go of a terminal, and return its state."""
    job, standing = pack_job(terminal, ages, parcel), terminal.standing()
    return TerminalState(
        job=job,
        name=terminal.name,
        cwd=terminal.asked_cwd,
        envs=terminal.envs,
        lazy_start=terminal.lazy_start,
        deleted=standing.deleted,
        size=(standing.size.rows, standing.size.columns),
        shell=terminal.shell,
        was_attached=standing.was_attached,
        replied_to=standing.replied_to,
        created_at=standing.created_at,
        rest=standing.rest,
    )


def unpack_terminal(
    engine: Engine, terminals: LocalTerminals, state: TerminalState, parcel: Parcel
) -> None:
    """Let a terminal go on, or list one that has ended."""
    rows, columns = state.size
    request = CreatePtyRequest(
        id=state.name,
        cwd=state.cwd,
        envs=dict(state.envs),
        rows=rows,
        cols=columns,
        lazy_start=state.lazy_start,
    )
    terminal = LocalTerminal(engine, request, state.shell)
    terminal.id = state.job.id
    terminal.resume_terminal(
        TerminalStanding(
            size=TerminalSize(rows, columns),
            deleted=state.deleted,
            created_at=state.created_at,
            was_attached=state.was_attached,
            replied_to=state.replied_to,
            rest=state.rest,
        )
    )
    fill_job(engine, terminal, state.job, parcel)
    # One that has ended is in the history only: its id is free.
    if terminal.done.is_set():
        return
    watch(engine, terminal, state.job)
    terminals.restore(terminal)

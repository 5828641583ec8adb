"""Making the view of a job."""

from __future__ import annotations

from typing import Any

from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.views.view import TerminalView

TERMINAL_BURST = 16
"""Reads of a terminal in a row: one returns at most 4 KiB (N_TTY_BUF_SIZE)."""


def read_terminal(engine: Any, job: Any, fd: int, size: TerminalSize, term: str) -> TerminalView:
    """Read a job's terminal, and return the view of it. *Any thread.*"""
    view = TerminalView(job.spool, size, term, engine.settings.output_limit, engine.pool.submit)
    # In this order: the view sees all that is read.
    engine.loop.call_soon(lambda: view.begin(job.reader))
    engine.loop.call_soon(lambda: job.reader.add(fd, OUT, False, TERMINAL_BURST))
    return view

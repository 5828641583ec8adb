"""The Protocol of a backend of the group ``process``, composed of one for each noun."""

from __future__ import annotations

from typing import Protocol

from toolbox_process.commands.protocol import HasCommands
from toolbox_process.interpreters.protocol import HasInterpreters
from toolbox_process.jobs.protocol import HasJobs
from toolbox_process.screens.protocol import HasScreens
from toolbox_process.services.protocol import HasServices
from toolbox_process.sessions.protocol import HasSessions
from toolbox_process.terminals.protocol import HasTerminals


class ProcessBackend(
    HasCommands,
    HasSessions,
    HasTerminals,
    HasScreens,
    HasInterpreters,
    HasJobs,
    HasServices,
    Protocol,
):
    """Runs programs. Each noun's part is in its ``protocol.py``."""

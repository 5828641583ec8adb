"""The processes as they travel to the next version of the service, in an upgrade in place.

Their jobs and terminals are handed over by the group ``process``, with their ids and pids.
"""

from __future__ import annotations

import msgspec

from toolbox_e2b.process.models import Config

FORMAT = 1
"""Version of :class:`State`; another one is refused before anything is handed over."""


class ProcessState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A process; ``left`` are the seconds until a terminal's time limit, None without one."""

    pid: int
    config: Config
    tag: str | None
    job: str
    terminal: str = ""
    left: float | None = None


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All processes that run, and the variables of those that are started from now on."""

    processes: list[ProcessState]
    variables: dict[str, str] = {}

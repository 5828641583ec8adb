"""The sessions as they travel to the next version of the service, in an upgrade in place.

Their terminals are handed over by the group ``process``, with their ids.
"""

from __future__ import annotations

import msgspec

from toolbox_swerex.replays import Result

FORMAT = 1
"""Version of :class:`State`; another one is refused before anything is handed over."""


class SessionState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A session: see :class:`toolbox_swerex.sessions.shell.Standing`."""

    name: str
    terminal: str
    token: str
    number: int


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All sessions, and the results of requests that may be sent again."""

    sessions: list[SessionState]
    results: dict[str, Result] = {}

"""Waiting for a screen: for a text on it, or until it is quiet."""

from __future__ import annotations

from typing import Literal

from toolbox.linux.clock import awake
from toolbox_process.engine.job import Job
from toolbox_process.engine.views.view import Look
from toolbox_process.engine.views.view import TerminalView
from toolbox_process.engine.waiting import LOOK
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.errors import ClientLeft
from toolbox_process.matching.blocking import BlockingMatcher
from toolbox_process.screens.models import ScreenWaitQuery

PACE = 0.05
"""Seconds between two looks at least, while there is output all the time."""

Reason = Literal["text", "idle", "ended", "timeout"]


def wait_for_screen(
    job: Job,
    view: TerminalView,
    query: ScreenWaitQuery,
    matcher: BlockingMatcher,
    is_disconnected: IsDisconnected,
) -> tuple[Reason, Look, str | None]:
    """Return the reason to end, the screen then, and the text that matched.

    Raises BadRequest for a pattern that can't be used, ClientLeft.
    """
    deadline = awake() + query.timeout
    seen: Look | None = None
    while True:
        ended = job.done.is_set()  # Read first: what is seen after the end is complete.
        look = view.look() if ended else view.recent_look()
        if query.text is not None and look is not seen:
            match = matcher.search(query.text, "\n".join(look.rows).rstrip("\n"))
            if match is not None and (query.offset is None or look.offset > query.offset):
                return "text", look, match
        seen = look
        if ended:
            return "ended", look, None
        now, quiet = awake(), _quiet_at(view, query)
        if now >= min(quiet, deadline):
            # Also at the moment when both have come: it is quiet.
            return ("idle" if now >= quiet else "timeout"), view.look(), None
        if is_disconnected():
            raise ClientLeft("client disconnected; the terminal goes on")
        if _wait_for_change(job, view, look, min(deadline, quiet, now + LOOK) - now):
            job.done.wait(PACE)


def _quiet_at(view: TerminalView, query: ScreenWaitQuery) -> float:
    """Return the moment at which the terminal will have been quiet for so long."""
    if query.idle is None:
        return float("inf")
    # What was typed counts, too: its echo is still to come.
    return max(view.last_output, view.last_input) + query.idle


def _wait_for_change(job: Job, view: TerminalView, look: Look, seconds: float) -> bool:
    return view.wait_for(
        lambda: job.spool.end > look.offset or job.done.is_set(), max(0.0, seconds)
    )

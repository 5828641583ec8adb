"""The state that a service hands over to the next version of itself."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from toolbox_process.services.models import State
from toolbox_process.services.restarting import End
from toolbox_process.services.run import Run


class Standing(NamedTuple):
    """The point that a service has reached, for another one to go on from there."""

    state: State
    since: datetime
    end: End
    restarts: int
    failures: int
    """Failures in a row, which make the next pause longer."""
    pause: float
    """Seconds until the next start, in the state ``backoff``."""
    last: Run | None
    """The present or last run."""
    running: bool

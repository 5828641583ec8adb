"""One sandbox, and the times at which something becomes of it.

Times are of a clock that doesn't jump (:func:`toolbox.linux.clock.awake`), which doesn't count the
time in which the machine was suspended either. The times on record are of the wall clock. They are
converted once, when they are first seen; so a wall clock that jumps later expires nothing.
"""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterator
from typing import Literal
from typing import NamedTuple

from toolbox.sockets.loop import Timer
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.times import parse_time

MINUTE = 60.0

GRACE = 300.0
"""Seconds after a start of the control plane in which it ends nothing that it has found: the times
on record may be wrong (a clock that was not set yet), and clients have to come back first.
"""

RESTING = ("stopped", "archiving", "archived")
"""States without processes; from one of them to another, the time since the stop goes on."""

Action = Literal["stop", "pause", "archive", "delete"]


class Now(NamedTuple):
    """One moment by both clocks."""

    clock: float
    wall: float


class Watched:
    """A sandbox as it was last seen."""

    def __init__(self, sandbox: Sandbox, now: Now, restarted: bool) -> None:
        self.sandbox = sandbox
        self.since = now.clock - (_age(sandbox.updated_at, now.wall) if restarted else 0.0)
        """The time at which its state began."""
        self.active = now.clock
        """The last time at which it was active, as far as is known without asking it."""
        if restarted:
            self.active -= _age(sandbox.last_activity_at or sandbox.updated_at, now.wall)
        self.end = _end(sandbox, now)
        """The end of its time to live."""
        self.not_before = now.clock + GRACE if restarted else now.clock
        """The time before which nothing is done, by grace or after a failure."""
        self.held = False
        """True if the backend refuses what is due, until the sandbox changes."""
        self.version = 0
        self.timer: Timer | None = None

    def see(self, sandbox: Sandbox, now: Now) -> None:
        """Take over the present state."""
        old, self.sandbox = self.sandbox, sandbox
        self.version += 1
        if sandbox.state != old.state:
            # Archiving a stopped sandbox must not begin its time to be deleted anew.
            if not (sandbox.state in RESTING and old.state in RESTING):
                self.since = now.clock
            self.active = self.not_before = now.clock
        if sandbox.auto_destroy_at != old.auto_destroy_at:
            self.end = _end(sandbox, now)
        if sandbox.last_activity_at != old.last_activity_at:
            age = _age(sandbox.last_activity_at, now.wall)
            # A client may report an old activity after a newer one was seen.
            self.active = max(self.active, now.clock - age)
        # Another state or interval may be one that the backend accepts.
        if sandbox != old:
            self.held = False

    def due(self, can: Container[Action]) -> tuple[float, Action] | None:
        """Return what is due next of what the backend ``can`` do, and when. None for nothing."""
        found = min(self._plans(can), default=None)
        if found is None or self.held or self.sandbox.state in ("destroying", "destroyed"):
            return None
        when, action = found
        return max(when, self.not_before), action

    def _plans(self, can: Container[Action]) -> Iterator[tuple[float, Action]]:
        one = self.sandbox
        if self.end is not None:
            yield self.end, "delete"
        # Those in a warm pool are idle because they wait.
        if one.state == "started" and one.warm_pool_id is None:
            if one.auto_stop_interval > 0:
                yield self.active + one.auto_stop_interval * MINUTE, "stop"
            if one.auto_pause_interval > 0 and "pause" in can:
                yield self.active + one.auto_pause_interval * MINUTE, "pause"
        if one.state in RESTING and one.auto_delete_interval >= 0:
            yield self.since + one.auto_delete_interval * MINUTE, "delete"
        if one.state == "stopped" and one.auto_archive_interval > 0 and "archive" in can:
            yield self.since + one.auto_archive_interval * MINUTE, "archive"


def _age(recorded: str | None, wall: float) -> float:
    """Return the seconds since a time on record; never less than none."""
    return max(0.0, wall - parse_time(recorded)) if recorded else 0.0


def _end(sandbox: Sandbox, now: Now) -> float | None:
    if sandbox.auto_destroy_at is None:
        return None
    return now.clock + max(0.0, parse_time(sandbox.auto_destroy_at) - now.wall)

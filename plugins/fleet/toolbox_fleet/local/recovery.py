"""The start after a stop, a crash or a reboot: what runs is adopted, what was begun goes on.

Every process of a sandbox bears its id and every directory is named by it, so nothing is lost and
nothing is left, wherever the control plane was killed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.lifecycle import RESTORE
from toolbox_fleet.local.lifecycle import RESUME
from toolbox_fleet.local.lifecycle import START
from toolbox_fleet.local.lifecycle import STOP
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.tree import marked

log = logging.getLogger("toolbox")


class Recovery:
    """Brings the sandboxes of an earlier control plane back under control."""

    def __init__(self, layout: Layout, lifecycle: Lifecycle) -> None:
        self._layout = layout
        self._lifecycle = lifecycle
        self._states = lifecycle.states
        self._services = lifecycle.services
        self.continued: dict[str, Callable[[Record], None]] = {}
        """The continuation of sandboxes that were left in a state, for states of other parts. It is
        called with the sandbox's processes as they were, alive or not.
        """
        self.before: list[Callable[[], None]] = []
        """Called before any sandbox goes on; other parts."""
        self.after: list[Callable[[], None]] = []
        """Called when all go on."""

    def recover(self) -> None:
        """Adopt and continue everything. Raises OSError, Refused."""
        records = self._states.table.all()
        known = {record.sandbox.id for record in records}
        for prepare in self.before:
            prepare()
        running = marked(known)
        for record in sorted(records, key=_order):
            try:
                self._recover(record, bool(running.get(record.sandbox.id)))
            except Exception:
                # One sandbox must not keep the others from coming back.
                log.exception("sandbox %s can't be recovered", record.sandbox.id)
        self._tidy(known)
        for follow in self.after:
            follow()

    def _recover(self, record: Record, has_processes: bool) -> None:
        lifecycle, state = self._lifecycle, record.sandbox.state
        if state in self.continued:
            self.continued[state](record)
        elif state == "creating":
            # Nobody has used it yet: it begins again.
            lifecycle.recreate(record)
        elif state == "starting":
            self._states.submit(record, START, lifecycle.start_service)
        elif state == "restoring":
            self._states.submit(record, RESTORE, lifecycle.restore)
        elif state == "resuming":
            self._states.submit(record, RESUME, lifecycle.resume)
        elif state == "stopping":
            self._states.submit(record, STOP, lifecycle.stop_service)
        elif state == "destroying":
            lifecycle.continue_deleting(record)
        elif record.running is not None:
            self._adopt(record)
        elif has_processes:
            self._services.kill(None, record.sandbox.id)

    def _adopt(self, record: Record) -> None:
        """Take a sandbox over with its processes, or note that they have ended."""
        assert record.running is not None
        identity, state = record.sandbox.id, record.sandbox.state
        if not self._services.is_alive(record.running):
            self._lifecycle.died(identity, record.running)
            return
        if state != "paused":
            # All or half of it may be suspended, also while it was copied.
            self._services.resume(record.running, identity)
        self._lifecycle.watch(identity)
        if state not in ("started", "paused"):
            self._states.store(identity, "started")

    def _tidy(self, known: set[str]) -> None:
        """Remove directories without a record, whose deletion was all but complete."""
        for identity in self._layout.present("sandboxes") - known:
            self._layout.discard(self._layout.sandbox(identity).root)
        self._layout.empty_trash()


def _order(record: Record) -> int:
    """Return the position of a sandbox: first those from which others may be copied.

    What waits for copies comes last, or it could take all threads while it does.
    """
    return {"creating": 1, "starting": 2, "restoring": 2, "resuming": 2}.get(
        record.sandbox.state, 0
    )

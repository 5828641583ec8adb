"""The end of the service, which may be that of all sandboxes."""

from __future__ import annotations

import logging
from concurrent.futures import Executor

from toolbox_fleet.local.lifecycle import Lifecycle

BEGINNING = frozenset({"creating", "starting", "restoring", "resuming"})
"""States on the way to processes, which may be there already."""

log = logging.getLogger("toolbox")


def stop_all(lifecycle: Lifecycle, pool: Executor) -> None:
    """Stop every sandbox that has processes or is about to, before this service ends."""
    # First of all: what has not begun to start by now doesn't.
    lifecycle.ending = True
    records = lifecycle.states.table.all()
    going = [one for one in records if one.running or one.sandbox.state in BEGINNING]
    for record in going:
        if record.running is not None and record.sandbox.state in BEGINNING:
            # Its start may take longer than this service may take to end.
            lifecycle.services.interrupt(record.running)
    # All at once: each has its time to end.
    for ended in [pool.submit(_stop, lifecycle, one.sandbox.id) for one in going]:
        ended.result()


def _stop(lifecycle: Lifecycle, identity: str) -> None:
    states = lifecycle.states
    # Whatever goes on there ends first.
    with states.busy(identity):
        # As it is now: it may have ended, or begun, while this waited.
        record = states.table.get(identity)
        if record is None:
            return
        try:
            lifecycle.stop_service(record)
        except OSError as error:
            # The others are stopped nevertheless.
            log.warning("sandbox %s can't be stopped: %s", identity, error)
        else:
            # These go on with the next start: a creation was accepted, a deletion must be done.
            if record.sandbox.state not in ("creating", "destroying"):
                states.store(identity, "stopped", "stopped")

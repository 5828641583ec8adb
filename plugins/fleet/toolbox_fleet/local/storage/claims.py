"""Taking a sandbox that waits: it gets the name and the settings of the one that is wanted."""

from __future__ import annotations

import http.client
import json

import msgspec

from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.times import format_time

LIMIT = 5.0
"""Seconds in which a service that waits must take its environment; else another one is created."""

# All that a client may ask for without the process having to know of it: whatever else it
# asks for takes a start, see :func:`fits`.
_TAKEN_OVER = (
    "labels",
    "public",
    "auto_stop_interval",
    "auto_archive_interval",
    "auto_delete_interval",
    "auto_pause_interval",
    "auto_destroy_at",
)
"""Fields that are only in the record of a sandbox, or can be changed while it runs."""


def fits(wanted: CreateSandbox) -> bool:
    """Report whether a sandbox that is started already can be what is wanted."""
    # Mounts, namespaces and the user of processes can't be changed once they run. Secrets
    # could, but stay out of requests on the network.
    needs_start = (
        wanted.volumes,
        wanted.secrets,
        wanted.build_info,
        wanted.network_block_all,
        wanted.user,
        wanted.linked_sandbox,
    )
    return not any(needs_start)


class Claims:
    """Takes waiting sandboxes, each once."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._states = lifecycle.states

    def take(self, pools: set[str], wanted: CreateSandbox, record: Record) -> Sandbox | None:
        """Return a started sandbox of one of ``pools``, now as in ``record``; None without one.

        Raises NameTaken.
        """
        taken = self._take(pools, wanted, record)
        if taken is None:
            return None
        if taken.sandbox.env and not _set_environment(taken):
            # Its name is free again at once, for a new one.
            self._lifecycle.delete(taken.sandbox.id)
            return None
        self._states.report(Event(kind="created", sandbox=taken.sandbox, new="started"))
        return taken.sandbox

    def _take(self, pools: set[str], wanted: CreateSandbox, record: Record) -> Record | None:
        # The lock that every change of a state takes: nobody gets one twice, or a deleted one.
        with self._states.lock:
            for waiting in self._states.table.all():
                if _is_ready(waiting, pools) and _is_large_enough(waiting.sandbox, wanted):
                    taken = _merged(waiting, wanted, record.sandbox)
                    self._states.table.rename(taken.sandbox.id, taken.sandbox.name, taken)
                    return taken
        return None


def _is_ready(record: Record, pools: set[str]) -> bool:
    one = record.sandbox
    return one.warm_pool_id in pools and one.state == "started" and record.running is not None


def _is_large_enough(sandbox: Sandbox, wanted: CreateSandbox) -> bool:
    return all(
        getattr(wanted, name) in (None, getattr(sandbox, name))
        for name in ("cpu", "memory", "disk")
    )


def _merged(waiting: Record, wanted: CreateSandbox, fresh: Sandbox) -> Record:
    # Its age counts from now: to its user it is new, and intervals must not end it early.
    now = format_time()
    sandbox = msgspec.structs.replace(
        waiting.sandbox,
        name=wanted.name or waiting.sandbox.name,
        snapshot=waiting.sandbox.snapshot if wanted.snapshot else None,
        warm_pool_id=None,
        created_at=now,
        updated_at=now,
        last_activity_at=now,
        # What it has already is its image's.
        env={**waiting.sandbox.env, **fresh.env},
        **{name: getattr(fresh, name) for name in _TAKEN_OVER},
    )
    return msgspec.structs.replace(waiting, sandbox=sandbox)


def _set_environment(record: Record) -> bool:
    """Give a running service variables for its jobs; report whether it has taken them."""
    assert record.running is not None
    connection = http.client.HTTPConnection("127.0.0.1", record.running.port, timeout=LIMIT)
    headers = {"Authorization": f"Bearer {record.token}", "Content-Type": "application/json"}
    try:
        body = json.dumps({"set": record.sandbox.env})
        connection.request("POST", "/env", body, headers)
        return connection.getresponse().status == 200
    # It has died or hangs: the caller makes a new one, and its client never learns.
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

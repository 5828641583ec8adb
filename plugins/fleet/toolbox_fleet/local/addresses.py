"""The ports of sandboxes on this machine."""

from __future__ import annotations

from toolbox_fleet.errors import WrongState
from toolbox_fleet.gateway.stand_ins import ENDED
from toolbox_fleet.gateway.stand_ins import MOST
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.service import Services
from toolbox_fleet.local.states import States
from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.plane import Plane

HOST = "127.0.0.1"

REACHABLE = ("creating", "starting", "restoring", "resuming", "started", "resizing", "snapshotting")
"""States in which a sandbox responds, or will: it listens before it is ready."""


def upstream_of(record: Record, services: Services) -> Upstream:
    """Return where a sandbox's service is. Raises WrongState."""
    state, running = record.sandbox.state, record.running
    port = running.port if running else record.port
    if state not in REACHABLE or not port:
        raise WrongState(f"the sandbox is {state}")
    present = services.digest()
    # The digest that it was started with may be that of an older token.
    digest = running.digest if running else present
    knows = bool(digest) and digest == present
    return Upstream(
        host=HOST,
        port=port,
        token=record.token,
        accepts_callers=knows and services.isolation.takes_callers,
        own_network=record.sandbox.network_block_all,
    )


def find_ports(states: States, services: Services, plane: Plane) -> None:
    """Take over the ports of sandboxes that don't run any more: clients still have their URLs."""
    # Until the end: a start in between would have to use another port.
    with states.lock:
        records = [record for record in states.table.all() if record.port]
        if not records or not services.digest() or not services.isolation.takes_callers:
            return
        ended = [record for record in records if record.sandbox.state in ENDED]
        # There are no places for more.
        ended = sorted(ended, key=lambda record: record.sandbox.updated_at)[-MOST:]
        for record in (*(one for one in records if one.sandbox.state not in ENDED), *ended):
            plane.found(record.sandbox, HOST, record.port)

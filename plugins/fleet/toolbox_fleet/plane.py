"""The part of a control plane that is the same for every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol
from typing import cast

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.plugins.capabilities import Figure
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.previews import Previews
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.counting import Counts
from toolbox_fleet.events.hub import EventHub
from toolbox_fleet.gateway.foreign_ports import ForeignPorts
from toolbox_fleet.gateway.gateway import Gateway
from toolbox_fleet.gateway.previews import GatewayPreviews
from toolbox_fleet.gateway.stand_ins import StandIns
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.reaper.reaper import Reaper
from toolbox_fleet.settings import FleetSettings


class Plane:
    """Follows the events of ``backend``'s sandboxes, and serves the clients that wait for them.

    A backend makes one when it is complete, reports each event to it, and closes it.
    """

    def __init__(
        self, backend: FleetBackend, context: Context, previews: Previews | None = None
    ) -> None:
        self.backend = backend
        self.context = context
        self.settings: FleetSettings = context.group_settings
        self.events = EventHub(context.auth, context.loop, self.direct_url)
        self._foreign = ForeignPorts(backend, context.listeners)
        self._stand_ins = StandIns(context.listeners)
        self.gateway = Gateway(backend, context, self._foreign)
        self.previews: Previews = previews or GatewayPreviews(backend, context, self._foreign)
        self.counts = Counts()
        self.reaper = Reaper(backend, context.loop, self.settings)
        self.reaper.start()

    def report(self, event: Event) -> None:
        """Tell everybody who waits of an event that has happened. From any thread, in order."""
        self._foreign.changed()
        self._stand_ins.observe(event)
        self.events.publish(event)
        self.reaper.observe(event.sandbox)
        self.counts.observe(event)
        if event.kind == "state" and event.new in ("destroying", "destroyed"):
            self.previews.forget(event.sandbox.id)

    def found(self, sandbox: Sandbox, host: str, port: int) -> None:
        """Note the port of a sandbox of which an earlier control plane may have told clients.

        For backends, no change of its state may be reported meanwhile.
        """
        if self.settings.direct and sandbox.auto_pause_interval <= 0:
            self._stand_ins.told(sandbox.id, host, port)
            self._stand_ins.observe(Event(kind="state", sandbox=sandbox, new=sandbox.state))

    def changed(self, sandbox: Sandbox) -> None:
        """Note a change of a sandbox's record that is no event: of its intervals, for instance.

        The operations call it; a backend only for changes that another process has made.
        """
        # By a look at the record: it may be older than an event that has been told since.
        self.reaper.look(sandbox.id)

    def figures(self) -> Iterator[Figure]:
        """Yield the numbers for metrics, which a backend returns as its own."""
        return self.counts.figures(self.backend.sandboxes)

    def direct_url(self, sandbox_id: str) -> str | None:
        """Return the URL at which clients on this machine reach a sandbox's own API, without its
        id; None if they go through the proxy, too.
        """
        if not self.settings.direct:
            return None
        try:
            upstream = self.backend.upstream(sandbox_id)
            # A service that would refuse the caller's token is reached by the proxy, which has
            # another.
            if not upstream.accepts_callers:
                return None
            # Once it is paused its own port accepts and never responds, which no client can tell
            # from slowness: what pauses by itself is reached by the proxy, which tells the state.
            if self.backend.sandbox(sandbox_id).auto_pause_interval > 0:
                return None
        except ToolboxError:  # Not running, which the proxy tells the client then.
            return None
        self._stand_ins.told(sandbox_id, upstream.host, upstream.port)
        return f"http://{upstream.host}:{upstream.port}{MOUNT}"

    def close(self) -> None:
        """Stop what it has started."""
        self.reaper.close()
        self.gateway.close()
        self.events.close()


class _HasPlane(Protocol):
    plane: Plane


def plane_of(backend: FleetBackend) -> Plane:
    """Return the plane of a backend."""
    # Not in its Protocol: modules below the plane import that.
    return cast(_HasPlane, backend).plane

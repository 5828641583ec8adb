"""The cores, memory and disk of sandboxes that are there already."""

from __future__ import annotations

import msgspec
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import Resources
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.times import format_time

from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.kinds import SANDBOX
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.lifecycle import there
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.objects.records import Record

CONTAINER = "/spec/podTemplate/spec/containers/0/resources"
"""The place in a Sandbox of the sizes with which its next pod starts."""


class SizeAbility:
    """See :class:`toolbox_fleet.backend.CanResize`."""

    _connection: Connection
    _feeds: Feeds
    _lifecycle: Lifecycle

    def resize(self, key: str, resources: Resources) -> Sandbox:
        self._feeds.wait()
        entry = self._lifecycle.fresh(key)
        sandbox, state = entry.objects.sandbox, entry.view.state
        if sandbox is None or state not in ("stopped", "archived"):
            raise WrongState(
                f"the sandbox is {state}: a pod gets cores, memory and disk when it starts, so stop"
                " the sandbox first"
            )
        containers = sandbox.spec.pod_template.spec.containers
        wanted = (resources.cpu, resources.memory, resources.disk)
        changed = blueprints.sized(containers[0].resources, wanted)
        with there():
            replaced = self._connection.replace(SANDBOX, sandbox.metadata, CONTAINER, changed)
        self._feeds.sandboxes.put(replaced)
        cpu, memory, disk = blueprints.amounts(changed)

        def change(record: Record) -> Record:
            return msgspec.structs.replace(
                record, cpu=cpu, memory=memory, disk=disk, updated_at=format_time()
            )

        return self._lifecycle.change(entry.record.id, change)

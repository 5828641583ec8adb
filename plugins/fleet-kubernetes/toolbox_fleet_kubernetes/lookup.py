"""Looking for what the watches have not told of yet.

Another replica may have created a sandbox a moment ago, and its client ask here. Only what is
unknown costs a request or two.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.kinds import CLAIM
from toolbox_fleet_kubernetes.client.kinds import SANDBOX
from toolbox_fleet_kubernetes.client.kinds import SECRET
from toolbox_fleet_kubernetes.client.kinds import TEMPLATE
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import RECORD
from toolbox_fleet_kubernetes.objects.names import is_id
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.names import secret_name
from toolbox_fleet_kubernetes.objects.records import decode


class Lookup:
    """Asks the API server for what isn't known. *Any thread.*"""

    def __init__(self, connection: Connection, cluster: Cluster, feeds: Feeds) -> None:
        self._connection = connection
        self._cluster = cluster
        self._feeds = feeds

    def sandbox(self, key: str) -> Entry | None:
        """Return a sandbox by id or name, known or not; None if there is none."""
        if (entry := self._cluster.get(key)) is not None:
            return entry
        with suppress(NotThere):
            if is_id(key):
                self._find_by_id(key)
            else:
                self._find_by_name(key)
        return self._cluster.get(key)

    def _find_by_name(self, name: str) -> None:
        secret = self._connection.get(SECRET, secret_name(name))
        self._object(secret.metadata.labels.get(ID, ""))
        self._feeds.secrets.put(secret)

    def _find_by_id(self, identity: str) -> None:
        primary = self._object(identity)
        record = decode(primary.metadata.annotations.get(RECORD, ""))
        if record is not None:
            self._feeds.secrets.put(self._connection.get(SECRET, secret_name(record.name)))

    def _object(self, identity: str) -> Any:
        """Return and note the object of a sandbox. Raises NotThere."""
        name = object_name(identity)
        kinds: tuple[Kind[Any], ...] = (CLAIM, SANDBOX)
        for kind in kinds:
            with suppress(NotThere):
                primary = self._connection.get(kind, name)
                self._feeds.put_primary(primary)
                return primary
        raise NotThere(name)

    def templates(self) -> None:
        """Note all templates that there are now."""
        for one in self._connection.listed(TEMPLATE)[0]:
            self._feeds.templates.put(one)

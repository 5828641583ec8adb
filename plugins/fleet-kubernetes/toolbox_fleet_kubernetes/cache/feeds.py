"""The watches of all kinds, which feed what is known of the cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Generic

from toolbox.errors import Unavailable
from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.objects import Shelf
from toolbox_fleet_kubernetes.cache.watching import T
from toolbox_fleet_kubernetes.cache.watching import Watch
from toolbox_fleet_kubernetes.client import kinds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.objects.names import OWNER

PATIENCE = 30.0
"""Seconds for which a request waits for the first lists: thousands of objects take a while."""

END = 5.0
"""Seconds for a watch's thread to end."""

PODS = "agents.x-k8s.io/sandbox-name-hash"
"""The label that the controller of agent-sandbox gives to its pods."""


class Feed(Generic[T]):
    """Puts what a watch tells on a shelf. ``ids`` returns the sandboxes that keys are about."""

    def __init__(
        self, cluster: Cluster, shelf: Shelf[T], ids: Callable[[set[str]], Iterable[str]]
    ) -> None:
        self._cluster = cluster
        self._shelf = shelf
        self._ids = ids

    def replace(self, objects: Sequence[T], version: str) -> None:
        with self._cluster.lock:
            self._cluster.refresh(self._ids(self._shelf.replace(objects, version)))

    def put(self, object_: T) -> None:
        with self._cluster.lock:
            self._cluster.refresh(self._ids(self._shelf.put(object_)))

    def remove(self, object_: T) -> None:
        with self._cluster.lock:
            # Before it is forgotten: a pod leads to its sandbox by what is known now.
            self._cluster.refresh(self._ids(self._shelf.remove(object_)))


class Feeds:
    """All watches. *Any thread.*"""

    def __init__(self, connection: Connection, cluster: Cluster, owner: str) -> None:
        self._connection = connection
        self._cluster = cluster
        self._changed = threading.Condition()
        self._complete = False
        self._watches: list[Watch[Any]] = []
        cluster.is_synced = lambda: self._complete
        own = f"{OWNER}={owner}"
        self.secrets = self._add(kinds.SECRET, own, cluster.secrets)
        self.claims = self._add(kinds.CLAIM, own, cluster.claims)
        # Those of claims have no label of ours.
        self.sandboxes = self._add(kinds.SANDBOX, "", cluster.sandboxes)
        self.pods = self._add(kinds.POD, PODS, cluster.pods, cluster.ids_of_sandboxes)
        self.templates = self._add(kinds.TEMPLATE, "", cluster.templates, _nobody)
        self.pools = self._add(kinds.WARM_POOL, "", cluster.pools, _nobody)

    def _add(
        self,
        kind: Kind[T],
        selector: str,
        shelf: Shelf[T],
        ids: Callable[[set[str]], Iterable[str]] = set,
    ) -> Feed[T]:
        feed = Feed(self._cluster, shelf, ids)
        watch = Watch(self._connection, kind, selector, feed, self._on_change)
        self._watches.append(watch)
        return feed

    def put_primary(self, primary: Claim | SandboxObject) -> None:
        """Take note of a claim or Sandbox that we have changed."""
        if isinstance(primary, Claim):
            self.claims.put(primary)
        else:
            self.sandboxes.put(primary)

    def start(self) -> None:
        """Begin to follow the cluster."""
        for watch in self._watches:
            watch.start()

    def _on_change(self) -> None:
        with self._cluster.lock:
            if not self._complete and all(watch.synced for watch in self._watches):
                # In this order: nothing of what was there is told as new.
                self._cluster.refresh_all()
                self._complete = True
        with self._changed:
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until everything has been listed once. Raises what prevents it."""
        if self._complete:
            return
        end = time.monotonic() + PATIENCE
        with self._changed:
            while not self._complete:
                for watch in self._watches:
                    if watch.error is not None and not watch.synced:
                        raise watch.error
                if (left := end - time.monotonic()) <= 0:
                    raise Unavailable("the cluster does not respond", {"Retry-After": "2"})
                self._changed.wait(left)

    def trouble(self) -> str:
        """Return what keeps watches from following now; empty for nothing."""
        found = {w.name: str(w.error) for w in self._watches if w.error is not None}
        return "; ".join(f"{name}: {error}" for name, error in sorted(found.items()))

    def lists(self) -> int:
        """Return how often a kind was listed as a whole, more often than once each."""
        return sum(max(0, watch.lists - 1) for watch in self._watches)

    def close(self) -> None:
        """End all watches."""
        for watch in self._watches:
            watch.stop()
        self._connection.close()
        for watch in self._watches:
            watch.join(END)


def _nobody(keys: set[str]) -> Iterable[str]:
    return ()

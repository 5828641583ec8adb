"""Removing what a creation or a deletion that was cut short has left, and finishing changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.linux.clock import awake
from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.kinds import CLAIM
from toolbox_fleet_kubernetes.client.kinds import SANDBOX
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.client.kinds import Secret
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.settling import Settler

log = logging.getLogger("toolbox")

BETWEEN = 30.0
"""Seconds between two looks."""

CREATING = 120.0
"""Seconds for which a Secret may be without a sandbox: its creation may still be going on."""


class Janitor:
    """Removes Secrets without a sandbox. Every replica has one; they don't disturb each other."""

    def __init__(
        self,
        context: Context,
        connection: Connection,
        cluster: Cluster,
        lifecycle: Lifecycle,
        settler: Settler,
    ) -> None:
        self._context = context
        self._connection = connection
        self._cluster = cluster
        self._lifecycle = lifecycle
        self._settler = settler
        self._lock = threading.Lock()
        self._since: dict[str, tuple[Secret, float]] = {}
        """Secrets without a sandbox by uid, and since when we know."""
        self._jobs: list[Callable[[], None]] = []
        """Removals that did not succeed."""
        self._closed = False
        self._timer = context.loop.call_later(BETWEEN, self._soon)

    def orphaned(self, secret: Secret) -> None:
        """Note a Secret without a sandbox. It doesn't wait."""
        with self._lock:
            self._since.setdefault(secret.metadata.uid, (secret, awake()))
        # It had one, which was deleted by others, or by its time to live.
        if secret.metadata.owner_references:
            self._context.pool.submit(self._forget, secret)

    def later(self, job: Callable[[], None]) -> None:
        """Do something at each look until it succeeds. It doesn't wait."""
        with self._lock:
            self._jobs.append(job)

    def _soon(self) -> None:
        if not self._closed:
            self._context.pool.submit(self._look)

    def _look(self) -> None:
        try:
            self._do_jobs()
            self._look_at_secrets()
            self._settler.look()
        finally:
            if not self._closed:
                self._timer = self._context.loop.call_later(BETWEEN, self._soon)

    def _do_jobs(self) -> None:
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for job in jobs:
            try:
                job()
            except ToolboxError as error:
                log.info("what a creation has left could not be removed yet: %s", error)
                self.later(job)

    def _look_at_secrets(self) -> None:
        with self._lock:
            found = list(self._since.values())
        for secret, since in found:
            if not self._is_orphan(secret):
                with self._lock:
                    self._since.pop(secret.metadata.uid, None)
            elif awake() - since >= CREATING:
                self._forget(secret)

    def _is_orphan(self, secret: Secret) -> bool:
        with self._cluster.lock:
            here = self._cluster.secrets.get(secret.metadata.name)
            return here is not None and not self._cluster.has_object(here)

    def _forget(self, secret: Secret) -> None:
        try:
            # One watch may be ahead of another: only the API server knows what is not there.
            if self._is_orphan(secret) and not self._has_object(secret):
                self._lifecycle.forget_secret(secret)
        except ToolboxError as error:
            log.info("secret %s could not be removed yet: %s", secret.metadata.name, error)

    def _has_object(self, secret: Secret) -> bool:
        name = object_name(secret.metadata.labels.get(ID, ""))
        kinds: tuple[Kind[Any], ...] = (CLAIM, SANDBOX)
        for kind in kinds:
            with suppress(NotThere):
                self._connection.get(kind, name)
                return True
        return False

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True
        self._timer.cancel()

"""Ports on a network that sandboxes share which are not a sandbox's to show."""

from __future__ import annotations

from toolbox.auth.factory import is_loopback
from toolbox.errors import ToolboxError
from toolbox.http.listeners import Listeners
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import ForeignPort
from toolbox_fleet.models.addresses import Upstream

WILDCARDS = ("0.0.0.0", "::")


class ForeignPorts:
    """The ports of the control plane, its previews among them, and of the sandboxes' own services.

    A preview of one would show a sandbox's visitors what is not the sandbox's, and a preview that
    leads to its own port would go round for ever. *Any thread.*
    """

    def __init__(self, backend: FleetBackend, listeners: Listeners) -> None:
        self._backend = backend
        self._listeners = listeners
        self._present = object()
        self._known: tuple[object, dict[int, set[str]]] = object(), {}

    def changed(self) -> None:
        """Note that the service of a sandbox may have another port, or none."""
        self._present = object()

    def check(self, sandbox_id: str, port: int) -> None:
        """Raise ForeignPort if ``port`` is not the sandbox's."""
        try:
            upstream = self._backend.upstream(sandbox_id)
        except ToolboxError:
            return  # It is not running, and shows nothing.
        self.check_at(upstream, sandbox_id, port)

    def check_at(self, upstream: Upstream, sandbox_id: str, port: int) -> None:
        """Raise ForeignPort if ``port`` is not that of the sandbox at ``upstream``."""
        if upstream.own_network or not is_loopback(upstream.host):
            return
        if self._listeners.has(port) and self._on_loopback():
            raise ForeignPort(f"port {port} is the control plane's, not the sandbox's")
        if sandbox_id not in self._owners().get(port, {sandbox_id}):
            raise ForeignPort(f"port {port} is that of another sandbox's service")

    def _on_loopback(self) -> bool:
        host = self._listeners.host
        return host in WILDCARDS or is_loopback(host)

    def _owners(self) -> dict[int, set[str]]:
        """Return the sandboxes by the ports of their services."""
        present = self._present
        if self._known[0] is not present:
            # For a fleet of many it takes milliseconds: once after each change, not each request.
            self._known = present, self._look()
        return self._known[1]

    def _look(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        try:
            sandboxes = list(self._backend.sandboxes())
        except ToolboxError:
            return found  # Another service has them.
        for sandbox in sandboxes:
            try:
                upstream = self._backend.upstream(sandbox.id)
            except ToolboxError:
                continue
            if is_loopback(upstream.host):
                found.setdefault(upstream.port, set()).add(sandbox.id)
        return found

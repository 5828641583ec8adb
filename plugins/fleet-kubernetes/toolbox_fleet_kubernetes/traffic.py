"""The way to the services of sandboxes: where the gateway forwards to."""

from __future__ import annotations

import re

import msgspec
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.addresses import Router
from toolbox_fleet.models.addresses import Upstream

from toolbox.settings import SettingsError
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.objects.states import Objects
from toolbox_fleet_kubernetes.settings import KubernetesSettings

# Of the sandbox-router of agent-sandbox: "Error responses" in its README.
_FAILURE = b'{"detail":"Could not connect to the backend sandbox'

_HOST = re.compile(r"[A-Za-z0-9._{}-]+(?::[0-9]{1,5})?")


class Traffic:
    """Addresses by the setting ``route``. Raises SettingsError."""

    def __init__(self, settings: KubernetesSettings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        route = settings.route
        if route in ("pod", "router"):
            return
        if not _HOST.fullmatch(route) or "{sandbox}" not in route:
            raise SettingsError(
                'fleet.kubernetes.route must be "pod", "router" or a host with {sandbox}'
            )

    def upstream(self, entry: Entry) -> Upstream:
        """Return where requests for a sandbox go. Raises WrongState if nowhere now."""
        # Its pod runs on for a while, and would respond.
        if entry.deleting:
            raise WrongState(f"the sandbox is {entry.view.state}")
        sandbox = _with_pod(entry.objects, entry.view.state)
        if self._settings.route == "router":
            return self._by_router(sandbox, entry.token)
        return self.direct(entry.objects, entry.token)

    def direct(self, objects: Objects, token: str) -> Upstream:
        """Return where we reach a service ourselves, to give it its token: the router keeps the
        header that this takes. Raises WrongState.
        """
        sandbox = _with_pod(objects, "starting")
        route = self._settings.route
        if route in ("pod", "router"):
            return _at(sandbox.status.pod_ips[0], self._settings.port, token)
        host = route.replace("{sandbox}", sandbox.metadata.name)
        host, _, port = host.replace("{namespace}", self._namespace).partition(":")
        return _at(host, int(port or 80), token)

    def _by_router(self, sandbox: SandboxObject, token: str) -> Upstream:
        host, _, port = self._settings.router.rpartition(":")
        headers = (
            ("X-Sandbox-ID", sandbox.metadata.name),
            ("X-Sandbox-Namespace", self._namespace),
            ("X-Sandbox-Port", str(self._settings.port)),
            # It comes before all others. Without it the router goes by a watch of its own, if it
            # has one, or by the names of Services, which sandboxes of warm pools don't have.
            ("X-Sandbox-Pod-IP", sandbox.status.pod_ips[0]),
        )
        router = Router(headers=headers, failure=_FAILURE)
        return msgspec.structs.replace(_at(host, int(port), token), router=router)


def _with_pod(objects: Objects, state: str) -> SandboxObject:
    """Return a Sandbox that has an address. Raises WrongState."""
    sandbox = objects.sandbox
    if sandbox is None or not sandbox.status.pod_ips:
        raise WrongState(f"the sandbox is {state}")
    return sandbox


def _at(host: str, port: int, token: str) -> Upstream:
    return Upstream(
        host=host,
        port=port,
        token=token,
        # Images may serve it without the group `fleet`.
        at_root=True,
        own_network=True,
    )

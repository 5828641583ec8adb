"""Backend ``kubernetes`` of the group ``fleet``: sandboxes of kubernetes-sigs/agent-sandbox."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.plugins import BackendSpec
from toolbox_fleet_kubernetes.settings import KubernetesSettings


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="fleet",
            name="kubernetes",
            # The client of the cluster is imported only where this backend is chosen.
            target="toolbox_fleet_kubernetes.backend:KubernetesFleet",
            settings=KubernetesSettings,
            summary="each sandbox is a pod of a Kubernetes cluster, by agent-sandbox",
        )
    ]

"""Control planes with the backend ``kubernetes``, and what they need in a namespace."""

from __future__ import annotations

import contextlib
import json
from http.client import HTTPConnection
from typing import Any

from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet_kubernetes.settings import KubernetesSettings

from toolbox.testing import DEADLINE

from .api import Api
from .api import Object
from .api import wait_for
from .cluster import Cluster

EXTENSIONS = "extensions.agents.x-k8s.io/v1beta1"
TOKEN: Object = {"name": "TOOLBOX_TOKEN", "value": "token-of-the-pool"}
GROUPS = ("files", "info", "port", "process", "server")
"""Those that the tests use: each other one makes the start of a pod take longer."""

CONTAINER: Object = {
    "name": "toolbox",
    "image": "toolbox",
    "env": [TOKEN, {"name": "TOOLBOX__PLUGINS__ENABLE", "value": json.dumps(GROUPS)}],
    "ports": [{"name": "toolbox", "containerPort": 2280}],
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "toolbox"}},
}

LEAST: list[Object] = [
    TOKEN,
    {"name": "TOOLBOX__PLUGINS__ENABLE", "value": json.dumps(["process", "server"])},
]
"""The environment of our service with as few groups as run a command and take a token: each pod is
a process of this machine.
"""


def settings(cluster: Cluster, namespace: str, **more: Any) -> KubernetesSettings:
    return KubernetesSettings(kubeconfig=str(cluster.kubeconfig), namespace=namespace, **more)


def add_template(
    cluster: Cluster,
    namespace: str,
    name: str = "toolbox",
    pod: Object | None = None,
    kept: str = "",
    **container: Any,
) -> None:
    """Apply a template whose pods end fast; ``kept`` is a directory that outlives them."""
    if kept:
        container["volumeMounts"] = [{"name": "kept", "mountPath": kept}]
    spec = {"terminationGracePeriodSeconds": 2, "containers": [{**CONTAINER, **container}]}
    spec |= pod or {}
    template: Object = {"podTemplate": {"spec": spec}, "networkPolicyManagement": "Unmanaged"}
    if kept:
        storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        template["volumeClaimTemplates"] = [{"metadata": {"name": "kept"}, "spec": storage}]
    body = {"kind": "SandboxTemplate", "metadata": {"name": name}, "spec": template}
    cluster.api.create("sandboxtemplates", {"apiVersion": EXTENSIONS, **body}, namespace)


def add_pool(cluster: Cluster, namespace: str, size: int, name: str = "toolbox") -> None:
    """Apply a warm pool of the template of the same name, and wait until it is full."""
    spec = {"replicas": size, "sandboxTemplateRef": {"name": name}}
    body = {"kind": "SandboxWarmPool", "metadata": {"name": name}, "spec": spec}
    cluster.api.create("sandboxwarmpools", {"apiVersion": EXTENSIONS, **body}, namespace)

    def is_full() -> bool:
        found = cluster.api.get("sandboxwarmpools", name, namespace)
        return (found.get("status") or {}).get("readyReplicas") == size

    wait_for(is_full, "the warm pool", cluster.log)


def ask(backend: FleetBackend, key: str, command: str) -> str:
    """Run a command in a sandbox by its own service."""
    upstream = backend.upstream(key)
    connection = HTTPConnection(upstream.host, upstream.port, timeout=DEADLINE)
    headers = {"Authorization": f"Bearer {upstream.token}", "Content-Type": "application/json"}
    with contextlib.closing(connection):
        body = json.dumps({"command": command})
        connection.request("POST", "/process/execute", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return str(answer["result"]).strip()


def pod_of(cluster: Cluster, namespace: str, identity: str) -> str:
    """Return the name of the pod that a claim got: its status tells a moment after its start."""

    def found() -> str:
        claim = cluster.api.get("sandboxclaims", f"sandbox-{identity}", namespace)
        return str(((claim.get("status") or {}).get("sandbox") or {}).get("name") or "")

    return str(wait_for(found, "the sandbox of a claim", cluster.log))


def delete_all(cluster: Cluster, namespace: str, backend: FleetBackend) -> None:
    """Delete all sandboxes, and wait until nothing of them is left."""
    for one in backend.sandboxes():
        try:
            backend.delete(one.id)
        except NoSuchSandbox:
            pass
    wait_for(lambda: not list(backend.sandboxes()), "the end of the sandboxes", cluster.log)
    # What ends with its owner ends a moment later.
    wait_for(lambda: not left(cluster, namespace), "the end of their objects", cluster.log)


def left(cluster: Cluster, namespace: str) -> list[str]:
    """The objects of sandboxes that there are."""
    selector = {"labelSelector": "sandbox-toolbox/owner=toolbox"}
    kinds = ("sandboxclaims", "secrets", "networkpolicies")
    found = [one for kind in kinds for one in cluster.api.list(kind, namespace, **selector)]
    return [f"{one['metadata']['name']}" for one in found]


KINDS = ("secrets", "sandboxclaims", "sandboxes", "pods", "sandboxtemplates", "sandboxwarmpools")
"""Those that a control plane follows."""


def lists(api: Api) -> dict[str, float]:
    """Return how many pages of each of these the API server has given since its start, within a
    namespace: its controllers ask for those of all namespaces.
    """
    counted = dict.fromkeys(KINDS, 0.0)
    for line in api.http.get("/metrics").text.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels, _, number = line.rpartition(" ")
        wanted = ('verb="LIST"', 'scope="namespace"', 'code="200"')
        if all(one in labels for one in wanted):
            kind = labels.partition(' resource="')[2] or labels.partition(',resource="')[2]
            if (name := kind.partition('"')[0]) in counted:
                counted[name] += float(number)
    return counted

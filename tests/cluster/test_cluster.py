"""The cluster itself: the real programs, and the stand-in for a node."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .api import Object
from .api import Problem
from .api import condition
from .api import wait_for
from .cluster import Cluster

ENV = [{"name": "TOOLBOX_TOKEN", "value": "token-of-the-pool"}]
CONTAINER: Object = {
    "name": "toolbox",
    "image": "toolbox",
    "env": ENV,
    "ports": [{"name": "toolbox", "containerPort": 2280}],
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "toolbox"}},
}
TOKEN = {"Authorization": "Bearer token-of-the-pool"}


def pod_spec(**changes: Any) -> Object:
    return {"automountServiceAccountToken": False, "containers": [{**CONTAINER, **changes}]}


def make_pod(cluster: Cluster, namespace: str, name: str, **changes: Any) -> None:
    cluster.api.create("pods", {"metadata": {"name": name}, "spec": pod_spec(**changes)}, namespace)


def wait_ready(cluster: Cluster, resource: str, name: str, namespace: str) -> Object:
    """Wait until an object is ready, and return it."""

    def ready() -> Object | None:
        found = cluster.api.find(resource, name, namespace)
        return found if condition(found, "Ready").get("status") == "True" else None

    found: Object = wait_for(ready, f"{resource}/{name} ready", cluster.log)
    return found


def container_state(cluster: Cluster, name: str, namespace: str) -> Object:
    """Return the status of a pod's container, empty if it has none yet."""
    status = cluster.api.get("pods", name, namespace)["status"]
    found: Object = (status.get("containerStatuses") or [{}])[0]
    return found


def execute(address: str, command: str, token: Object = TOKEN) -> str:
    """Run a command in a pod and return its output."""
    url = f"http://{address}:2280/process/execute"
    response = httpx.post(url, json={"command": command}, headers=token, timeout=60)
    assert response.is_success, response.text
    return str(response.json()["result"]).strip()


@pytest.fixture(scope="module")
def pool(cluster: Cluster, namespace: str) -> str:
    """A warm pool of one sandbox that is ready."""
    template = {"podTemplate": {"spec": pod_spec()}}
    pool = {"replicas": 1, "sandboxTemplateRef": {"name": "pool"}}
    for kind, spec in (("SandboxTemplate", template), ("SandboxWarmPool", pool)):
        body = {"kind": kind, "metadata": {"name": "pool"}, "spec": spec}
        body["apiVersion"] = "extensions.agents.x-k8s.io/v1beta1"
        cluster.api.create(f"{kind.lower()}s", body, namespace)

    def ready() -> bool:
        found = cluster.api.get("sandboxwarmpools", "pool", namespace)
        return (found.get("status") or {}).get("readyReplicas") == 1

    wait_for(ready, "the warm pool", cluster.log)
    return "pool"


def claim(cluster: Cluster, namespace: str, pool: str, name: str) -> Object:
    """Make a claim and return it when it is ready."""
    body = {
        "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
        "kind": "SandboxClaim",
        "metadata": {"name": name},
        "spec": {"warmPoolRef": {"name": pool}},
    }
    cluster.api.create("sandboxclaims", body, namespace)
    return wait_ready(cluster, "sandboxclaims", name, namespace)


def test_a_claim_takes_a_warm_sandbox_which_ends_with_it(
    cluster: Cluster, namespace: str, pool: str
) -> None:
    (warm,) = cluster.api.list("sandboxes", namespace)
    claimed = claim(cluster, namespace, pool, "claim")
    assert claimed["status"]["sandbox"]["name"] == warm["metadata"]["name"]
    (address,) = claimed["status"]["sandbox"]["podIPs"]
    assert execute(address, "echo $HOME") == "/home/sandbox"
    cluster.api.delete("sandboxclaims", "claim", namespace)
    name = warm["metadata"]["name"]
    wait_for(lambda: cluster.api.find("sandboxes", name, namespace) is None, "its end")
    wait_for(lambda: cluster.api.find("pods", name, namespace) is None, "the end of its pod")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{address}:2280/healthz")


def test_a_sandbox_is_suspended_and_resumed_as_a_new_pod(
    cluster: Cluster, namespace: str, pool: str
) -> None:
    sandbox = claim(cluster, namespace, pool, "resumed")["status"]["sandbox"]
    (address,) = sandbox["podIPs"]
    execute(address, "touch here")

    def switch(mode: str) -> None:
        change = {"spec": {"operatingMode": mode}}
        cluster.api.patch("sandboxes", sandbox["name"], change, namespace)

    def suspended() -> bool:
        found = cluster.api.get("sandboxes", sandbox["name"], namespace)
        return condition(found, "Suspended").get("status") == "True"

    switch("Suspended")
    wait_for(suspended, "the suspension", cluster.log)
    switch("Running")
    found = wait_ready(cluster, "sandboxes", sandbox["name"], namespace)
    (new,) = found["status"]["podIPs"]
    assert new != address
    assert execute(new, "ls") == ""


def test_a_claim_for_storage_keeps_files(cluster: Cluster, namespace: str) -> None:
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"metadata": {"name": "files"}, "spec": size}
    cluster.api.create("persistentvolumeclaims", body, namespace)
    mount = {"name": "files", "mountPath": "/data", "subPath": "inner"}
    spec = pod_spec(volumeMounts=[mount])
    spec["volumes"] = [{"name": "files", "persistentVolumeClaim": {"claimName": "files"}}]
    for name, command in (("writes", "echo kept > /data/file"), ("reads", "cat /data/file")):
        cluster.api.create("pods", {"metadata": {"name": name}, "spec": spec}, namespace)
        address = wait_ready(cluster, "pods", name, namespace)["status"]["podIP"]
        output = execute(address, command)
    assert output == "kept"


def test_an_image_that_is_not_there_is_reported(cluster: Cluster, namespace: str) -> None:
    make_pod(cluster, namespace, "no-image", image="no/such-image:1")

    def reason() -> str:
        state = container_state(cluster, "no-image", namespace).get("state") or {}
        return str(state.get("waiting", {}).get("reason", ""))

    wait_for(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"), "the report")


def test_a_pod_that_asks_for_too_much_is_unschedulable(cluster: Cluster, namespace: str) -> None:
    make_pod(cluster, namespace, "large", resources={"requests": {"memory": "5000Ti"}})

    def scheduled() -> Object:
        return condition(cluster.api.get("pods", "large", namespace), "PodScheduled")

    wait_for(lambda: scheduled().get("reason") == "Unschedulable", "the report")
    assert "Insufficient memory" in scheduled()["message"]
    cluster.api.delete("pods", "large", namespace)
    wait_for(lambda: cluster.api.find("pods", "large", namespace) is None, "the end")


def test_a_container_that_ends_is_started_again(cluster: Cluster, namespace: str) -> None:
    make_pod(cluster, namespace, "mortal")
    address = wait_ready(cluster, "pods", "mortal", namespace)["status"]["podIP"]
    cluster.kubelet.pod("mortal", namespace).exhaust_memory()

    def restarted() -> bool:
        return container_state(cluster, "mortal", namespace).get("restartCount") == 1

    wait_for(restarted, "the restart", cluster.log)
    last = container_state(cluster, "mortal", namespace)["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)
    found = wait_ready(cluster, "pods", "mortal", namespace)
    assert found["status"]["podIP"] == address
    assert execute(address, "echo again") == "again"


def test_a_pod_has_the_time_to_end_that_it_was_given(cluster: Cluster, namespace: str) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    make_pod(cluster, namespace, "polite", command=["sh", "-c", script], readinessProbe=None)
    wait_ready(cluster, "pods", "polite", namespace)
    pod = cluster.kubelet.pod("polite", namespace)
    wait_for(lambda: "up" in pod.log(), "its start")
    cluster.api.delete("pods", "polite", namespace, gracePeriodSeconds=60)
    wait_for(lambda: cluster.api.find("pods", "polite", namespace) is None, "its end")
    assert pod.log() == "up\nbye\n"


def test_the_api_server_can_be_restarted(cluster: Cluster, namespace: str) -> None:
    cluster.control_plane.restart_server()
    make_pod(cluster, namespace, "later")
    wait_ready(cluster, "pods", "later", namespace)


def test_an_account_without_rights_has_none(cluster: Cluster, namespace: str) -> None:
    api = cluster.api_of(cluster.account_token("default", namespace))
    try:
        with pytest.raises(Problem) as refused:
            api.list("pods", namespace)
        assert refused.value.code == 403
    finally:
        api.close()

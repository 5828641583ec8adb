"""``conf/kubernetes`` on a real API server, which knows the schemas of all that is in there."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from daytona import CreateSandboxFromSnapshotParams
from daytona import Daytona
from daytona import DaytonaConfig

from toolbox.application import core_routes

from . import programs
from .api import Api
from .api import Object
from .api import Problem
from .api import condition
from .api import wait_for
from .cluster import Cluster
from .gateway_api import http_routes

CONF = Path(__file__).parents[2] / "conf" / "kubernetes"
BASE = CONF / "control-plane"
EXAMPLES = sorted(BASE.glob("examples/*.yaml"))
SINGLE = sorted(CONF.glob("*.yaml"))
SYSTEM, SANDBOXES = "sandbox-toolbox", "sandboxes"

ALL = ("get", "list", "watch", "create", "patch", "delete")
ALLOWED = [
    *itertools.product(("agents.x-k8s.io",), ("sandboxes",), ALL),
    *itertools.product(
        ("extensions.agents.x-k8s.io",),
        ("sandboxclaims", "sandboxtemplates", "sandboxwarmpools"),
        ALL,
    ),
    *itertools.product(("",), ("secrets", "persistentvolumeclaims"), ALL),
    *itertools.product(("",), ("pods",), ("get", "list", "watch", "delete")),
    *itertools.product(("networking.k8s.io",), ("networkpolicies",), ALL),
]
REFUSED = [
    (SANDBOXES, "", "pods", "create"),
    (SANDBOXES, "", "pods", "patch"),
    (SANDBOXES, "", "pods/exec", "create"),
    (SANDBOXES, "", "serviceaccounts/token", "create"),
    (SANDBOXES, "agents.x-k8s.io", "sandboxes/status", "patch"),
    (SANDBOXES, "rbac.authorization.k8s.io", "roles", "create"),
    (SANDBOXES, "rbac.authorization.k8s.io", "roles", "escalate"),
    (SYSTEM, "", "secrets", "get"),
    (SYSTEM, "apps", "deployments", "patch"),
    ("default", "agents.x-k8s.io", "sandboxes", "list"),
    ("", "agents.x-k8s.io", "sandboxes", "list"),
    ("", "", "nodes", "list"),
    ("", "", "namespaces", "create"),
]


def kubectl(cluster: Cluster, *arguments: str) -> str:
    done = subprocess.run(
        [programs.programs() / "kubectl", *arguments],
        # Its cache goes with the cluster.
        env={
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig),
            "HOME": str(cluster.kubeconfig.parent),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def base(cluster: Cluster) -> list[Object]:
    """All objects of the kustomization."""
    return list(yaml.safe_load_all(kubectl(cluster, "kustomize", str(BASE))))


def one(objects: list[Object], kind: str, name: str, namespace: str | None = None) -> Object:
    (found,) = [
        each
        for each in objects
        if (each["kind"], each["metadata"]["name"]) == (kind, name)
        and namespace in (None, each["metadata"].get("namespace"))
    ]
    return found


@pytest.fixture(scope="module")
def deployed(cluster: Cluster) -> Iterator[None]:
    """The base, applied as its comments say."""
    for namespace in (SYSTEM, SANDBOXES):
        cluster.api.create("namespaces", {"metadata": {"name": namespace}})
    for name, namespace, keys in (
        ("control-plane", SYSTEM, ("token", "signing-key")),
        ("toolbox", SANDBOXES, ("token",)),
    ):
        data = {key: f"the-{key}-of-{name}" for key in keys}
        body = {"metadata": {"name": name}, "stringData": data}
        cluster.api.create("secrets", body, namespace)
    kubectl(cluster, "apply", "--server-side", "-k", str(BASE))
    yield
    cluster.clear(SANDBOXES)


@pytest.fixture(scope="module")
def account(cluster: Cluster, deployed: None) -> Iterator[Api]:
    """The API for the control plane's account."""
    api = cluster.api_of(cluster.account_token("control-plane", SYSTEM))
    yield api
    api.close()


def test_all_of_it_is_applied(cluster: Cluster, base: list[Object], deployed: None) -> None:
    shown = kubectl(cluster, "get", "-k", str(BASE), "-o", "name").split()
    assert len(shown) == len(base)
    # What is applied again is as it was.
    again = kubectl(cluster, "diff", "--server-side", "-k", str(BASE))
    assert again == ""


@pytest.mark.parametrize("file", [*SINGLE, *EXAMPLES], ids=lambda file: file.name)
def test_other_files_are_valid(cluster: Cluster, deployed: None, file: Path) -> None:
    if file.name == "gateway.yaml" and not cluster.api.find(
        "customresourcedefinitions", "httproutes.gateway.networking.k8s.io"
    ):
        kubectl(cluster, "create", "-f", str(http_routes()))
        wait_for(lambda: has_http_routes(cluster), "HTTPRoute")
    kubectl(
        cluster,
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(file)),
    )


def has_http_routes(cluster: Cluster) -> bool:
    try:
        cluster.api.call("GET", "/apis/gateway.networking.k8s.io/v1/httproutes")
    except Problem:
        return False
    return True


@pytest.fixture(scope="module")
def warm(cluster: Cluster, deployed: None) -> None:
    """The warm pool, once it is full."""

    def is_full() -> bool:
        pool = cluster.api.get("sandboxwarmpools", "toolbox-headless", SANDBOXES)
        return (pool.get("status") or {}).get("readyReplicas") == pool["spec"]["replicas"]

    wait_for(is_full, "the warm pool", cluster.log)


def test_the_warm_pool_is_filled_with_pods_that_have_no_rights(
    cluster: Cluster, warm: None
) -> None:
    pods = cluster.api.list("pods", SANDBOXES)
    assert len(pods) == 2
    for pod in pods:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not any("projected" in volume for volume in pod["spec"]["volumes"])
    # The template's policy, made by the controller, is for them.
    (policy,) = [
        policy
        for policy in cluster.api.list("networkpolicies", SANDBOXES)
        if policy["metadata"].get("ownerReferences")
        and policy["spec"]["podSelector"]["matchLabels"].items()
        <= pods[0]["metadata"]["labels"].items()
    ]
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def allowed(api: Api, namespace: str, group: str, resource: str, verb: str) -> bool:
    resource, _, below = resource.partition("/")
    attributes = {"namespace": namespace, "group": group, "resource": resource, "verb": verb}
    spec = {"resourceAttributes": {**attributes, "subresource": below}}
    review = api.create("selfsubjectaccessreviews", {"spec": spec})
    return bool(review["status"]["allowed"])


def test_the_account_may_do_what_the_backend_does(account: Api) -> None:
    lacking = [right for right in ALLOWED if not allowed(account, SANDBOXES, *right)]
    assert lacking == []


def test_the_account_may_do_nothing_else(account: Api, base: list[Object]) -> None:
    assert [right for right in REFUSED if allowed(account, *right)] == []
    role = one(base, "Role", "control-plane", SANDBOXES)
    given = {
        right
        for rule in role["rules"]
        for right in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }
    assert given == set(ALLOWED)


def test_replicas_are_found_spread_and_kept(base: list[Object]) -> None:
    deployment = one(base, "Deployment", "control-plane")["spec"]
    assert deployment["replicas"] == 2
    labels = deployment["template"]["metadata"]["labels"].items()
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = one(base, kind, "control-plane")["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        assert selector.get("matchLabels", selector).items() <= labels
    pod = deployment["template"]["spec"]
    assert pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].items() <= labels
    public = [operation.path for operation in core_routes.group.operations if operation.public]
    (container,) = pod["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in public


def test_there_is_a_template_for_each_image(base: list[Object]) -> None:
    templates = [each for each in base if each["kind"] == "SandboxTemplate"]
    images = {path.parent.name for path in CONF.parent.glob("images/*/Dockerfile")}
    # That one is copied from, never run.
    images.remove("standalone")
    assert {each["metadata"]["name"] for each in templates} == {f"toolbox-{n}" for n in images}
    for template in templates:
        spec: Any = template["spec"]["podTemplate"]["spec"]
        (container,) = spec["containers"]
        assert container["image"] == template["metadata"]["name"]
        assert spec["automountServiceAccountToken"] is False
        assert container["resources"]["limits"].keys() == container["resources"]["requests"].keys()


@pytest.fixture(scope="module")
def control_planes(cluster: Cluster, deployed: None) -> Iterator[list[str]]:
    """The URLs of two replicas: pods as the Deployment's controller would make them."""
    template = cluster.api.get("deployments", "control-plane", SYSTEM)["spec"]["template"]
    names = ["control-plane-0", "control-plane-1"]
    for name in names:
        body = {"metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}
        cluster.api.create("pods", body, SYSTEM)

    def is_ready(name: str) -> bool:
        return condition(cluster.api.get("pods", name, SYSTEM), "Ready").get("status") == "True"

    def log() -> str:
        return "\n".join(cluster.kubelet.pod(name, SYSTEM).log()[-2000:] for name in names)

    wait_for(lambda: all(is_ready(name) for name in names), "the control planes", log)
    pods = [cluster.api.get("pods", name, SYSTEM) for name in names]
    yield [f"http://{pod['status']['podIP']}:2280" for pod in pods]
    cluster.clear(SYSTEM)


def client(url: str) -> Daytona:
    return Daytona(DaytonaConfig(api_key="the-token-of-control-plane", api_url=f"{url}/api"))


def test_replicas_create_sandboxes_with_the_rights_of_their_account(
    cluster: Cluster, warm: None, control_planes: list[str]
) -> None:
    first, second = map(client, control_planes)
    wanted = CreateSandboxFromSnapshotParams(env_vars={"A": "b"}, labels={"for": "test"})
    sandbox = first.create(wanted, timeout=120)
    assert sandbox.process.exec("echo $A").result.strip() == "b"
    # The warm pool had one; the replica that was asked has counted that, unless it was slow.
    key = {"Authorization": "Bearer the-token-of-control-plane"}
    metrics = [httpx.get(f"{url}/metrics", headers=key).text for url in control_planes]
    assert "toolbox_fleet_warm_hits_total 1.0" in "\n".join(metrics).splitlines()
    assert 'toolbox_fleet_creates_total{result="accepted"} 1.0' in metrics[0].splitlines()
    wait_for(lambda: sandbox.id in [one.id for one in second.list()], "the list")
    second.get(sandbox.id).delete(timeout=120)
    wait_for(lambda: not cluster.api.list("sandboxclaims", SANDBOXES), "the end")


def test_only_the_key_opens_the_control_plane(control_planes: list[str]) -> None:
    for url in control_planes:
        for token in ("", "the-token-of-toolbox"):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            assert httpx.get(f"{url}/api/sandbox", headers=headers).status_code == 401

"""A control plane whose account lacks a right: each call that takes it says which one that is, and
is made once it has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.testing import Service

from .api import Api
from .api import wait_for
from .cluster import Cluster
from .fleets import left
from .test_manifests import ALLOWED

POOL = 1

SETTINGS = """
[fleet]
backend = "kubernetes"
[fleet.kubernetes]
kubeconfig = "{file}"
"""

Right = tuple[str, str, str]
"""The API group, resource and verb."""

GROUPS = {resource: group for group, resource, _ in ALLOWED}


class Account:
    """The account of a control plane, to which rights are given and from which they are taken."""

    def __init__(self, cluster: Cluster, place: str) -> None:
        self._cluster = cluster
        self._place = place
        self.token = cluster.account_token("default", place)
        self._api: Api = cluster.api_of(self.token)
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fleet"}
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": place}
        cluster.api.create("roles", {"metadata": {"name": "fleet"}, "rules": []}, place)
        cluster.api.create(
            "rolebindings",
            {"metadata": {"name": "fleet"}, "roleRef": role, "subjects": [subject]},
            place,
        )
        self._lacking: set[Right] = set()
        self._set(set())

    def _set(self, lacking: set[Right]) -> None:
        """Give it all rights of conf/kubernetes but these, and wait until that holds."""
        rules = [
            {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
            for group, resource, verb in ALLOWED
            if (group, resource, verb) not in lacking
        ]
        self._cluster.api.patch("roles", "fleet", {"rules": rules}, self._place)
        changed = (self._lacking ^ lacking) or {ALLOWED[-1]}
        self._lacking = lacking
        for right in changed:
            wait_for(lambda right=right: self._may(right) == (right not in lacking), f"{right}")

    def _may(self, right: Right) -> bool:
        group, resource, verb = right
        asked = {"namespace": self._place, "group": group, "resource": resource, "verb": verb}
        body = {"spec": {"resourceAttributes": asked}}
        return bool(self._api.create("selfsubjectaccessreviews", body)["status"]["allowed"])

    @contextmanager
    def lacking(self, verb: str, resource: str) -> Iterator[None]:
        """Take a right away for the duration of the block."""
        self._set({(GROUPS[resource], resource, verb)})
        try:
            yield
        finally:
            self._set(set())

    def close(self) -> None:
        self._api.close()


@pytest.fixture(scope="module")
def account(cluster: Cluster, place: str) -> Iterator[Account]:
    made = Account(cluster, place)
    yield made
    made.close()


def start(cluster: Cluster, place: str, directory: Path, account: Account) -> Service:
    file = directory / "kubeconfig"
    file.write_text(cluster.control_plane.kubeconfig_for(account.token, place))
    return Service(directory, settings=SETTINGS.format(file=file))


@pytest.fixture(scope="module")
def service(
    cluster: Cluster, place: str, account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    running = start(cluster, place, tmp_path_factory.mktemp("service"), account)
    yield running
    running.stop()


def call(service: Service, method: str, path: str, body: Any = None) -> httpx.Response:
    return service.http.request(method, f"/api/{path}", json=body)


def refuses(response: httpx.Response, verb: str, resource: str) -> None:
    """Check that a response is the control plane's error, and says what is missing."""
    error = response.json()
    assert (response.status_code, error["statusCode"]) == (403, 403), error
    assert "this control plane lacks rights in the cluster" in error["message"]
    assert f'cannot {verb} resource "{resource}"' in error["message"]
    assert error["path"] == response.request.url.path and error["timestamp"]


def state(service: Service) -> str:
    return str(call(service, "GET", "sandbox/box").json().get("state", "gone"))


def reaches(service: Service, wanted: str) -> None:
    service.wait_for(lambda: state(service) == wanted, f"the state {wanted}")


LIMITED = {"name": "box", "networkBlockAll": True}
CREATE: list[tuple[str, str, dict[str, Any]]] = [
    ("create", "secrets", {"name": "box"}),
    ("create", "sandboxes", {"name": "box"}),
    ("create", "sandboxes", LIMITED),
    ("create", "sandboxclaims", {"name": "box", "snapshot": "warm"}),
    ("create", "networkpolicies", LIMITED),
    (
        "list",
        "persistentvolumeclaims",
        {"name": "box", "volumes": [{"volumeId": "v", "mountPath": "/v"}]},
    ),
    ("get", "secrets", {"name": "box", "secrets": [{"A": "KEY"}]}),
]


@pytest.mark.parametrize(("verb", "resource", "wanted"), CREATE)
def test_creations(
    cluster: Cluster,
    place: str,
    account: Account,
    service: Service,
    verb: str,
    resource: str,
    wanted: dict[str, Any],
) -> None:
    with account.lacking(verb, resource):
        refuses(call(service, "POST", "sandbox", wanted), verb, resource)
        assert left(cluster, place) == [], "nothing of it stays"
        assert call(service, "GET", "sandbox").json()["items"] == []


ALLOW = {"networkAllowList": "10.0.0.0/8"}
CHANGES: list[tuple[str, str, str, str, Any, str]] = [
    ("patch", "sandboxes", "PUT", "/labels", {"labels": {"a": "b"}}, "started"),
    ("patch", "sandboxes", "POST", "/autostop/30", None, "started"),
    ("patch", "sandboxes", "POST", "/ttl/30", None, "started"),
    ("create", "networkpolicies", "POST", "/network-settings", ALLOW, "started"),
    ("patch", "secrets", "POST", "/signing-key/rotate", None, "started"),
    ("get", "sandboxes", "POST", "/stop", None, "stopped"),
    ("patch", "sandboxes", "POST", "/resize", {"cpu": 2}, "stopped"),
    ("patch", "sandboxes", "POST", "/archive", None, "archived"),
    ("patch", "sandboxes", "POST", "/start", None, "started"),
    ("patch", "sandboxes", "POST", "/stop", None, "stopped"),
    ("get", "sandboxes", "POST", "/start", None, "started"),
    # The wish is noted before the pod is to end at once.
    ("delete", "pods", "POST", "/stop?force=true", None, "stopped"),
    ("delete", "sandboxes", "DELETE", "", None, "gone"),
]
"""Verb and resource of the right; method, path and body of the call; the state after it."""


def test_changes(cluster: Cluster, place: str, account: Account, service: Service) -> None:
    call(service, "POST", "sandbox", {"name": "box"}).raise_for_status()
    reaches(service, "started")
    for verb, resource, method, path, body, after in CHANGES:
        before = state(service)
        with account.lacking(verb, resource):
            refuses(call(service, method, f"sandbox/box{path}", body), verb, resource)
            if resource != "pods":
                assert state(service) == before, path
        call(service, method, f"sandbox/box{path}", body).raise_for_status()
        reaches(service, after)
    service.wait_for(lambda: not left(cluster, place), "the end of its objects")


@pytest.mark.parametrize("resource", ["sandboxclaims", "secrets"])
def test_a_deletion(
    cluster: Cluster, place: str, account: Account, service: Service, resource: str
) -> None:
    wanted = {"name": "box", "snapshot": "warm"}
    call(service, "POST", "sandbox", wanted).raise_for_status()
    with account.lacking("delete", resource):
        refuses(call(service, "DELETE", "sandbox/box"), "delete", resource)
        # Its name isn't free, and what has begun isn't undone.
        assert state(service) in ("creating", "started") or resource == "secrets"
        assert call(service, "POST", "sandbox", wanted).status_code == 409
    call(service, "DELETE", "sandbox/box").raise_for_status()
    reaches(service, "gone")
    service.wait_for(lambda: not left(cluster, place), "the end of its objects")


RESOURCES: list[tuple[str, str, str, str, Any]] = [
    ("create", "persistentvolumeclaims", "POST", "volumes", {"name": "files"}),
    ("list", "persistentvolumeclaims", "GET", "volumes", None),
    ("delete", "persistentvolumeclaims", "DELETE", "volumes/{volumes}", None),
    ("create", "secrets", "POST", "secret", {"name": "KEY", "value": "s3cret"}),
    ("list", "secrets", "GET", "secret/paginated", None),
    ("patch", "secrets", "PATCH", "secret/{secret/paginated}", {"value": "n3w"}),
    ("delete", "secrets", "DELETE", "secret/{secret/paginated}", None),
    ("create", "sandboxtemplates", "POST", "snapshots", {"name": "s", "imageName": "toolbox"}),
    ("create", "sandboxwarmpools", "POST", "warm-pools", {"snapshot": "s", "pool": 1}),
    ("patch", "sandboxwarmpools", "PATCH", "warm-pools/{warm-pools}", {"pool": 2}),
    ("delete", "sandboxwarmpools", "DELETE", "warm-pools/{warm-pools}", None),
    ("delete", "sandboxtemplates", "DELETE", "snapshots/s", None),
]
"""Paths name the list that has the id of the resource to be changed, as its last."""


def test_resources(account: Account, service: Service) -> None:
    for verb, resource, method, path, body in RESOURCES:
        where, _, listed = path.partition("/{")
        if listed:
            found = call(service, "GET", listed.removesuffix("}")).json()
            where += "/" + (found["items"] if isinstance(found, dict) else found)[-1]["id"]
        else:
            where = path
        with account.lacking(verb, resource):
            response = call(service, method, where, body)
            assert "s3cret" not in response.text and "n3w" not in response.text
            refuses(response, verb, resource)
        call(service, method, where, body).raise_for_status()


@pytest.mark.parametrize("resource", ["sandboxes", "secrets"])
def test_a_start(
    cluster: Cluster, place: str, account: Account, tmp_path: Path, resource: str
) -> None:
    """Without a list of everything nothing is told, and nothing is done."""
    with account.lacking("list", resource):
        running = start(cluster, place, tmp_path, account)
        for method, path in (("GET", "sandbox"), ("GET", "sandbox/box"), ("POST", "sandbox")):
            body = {"name": "box"} if method == "POST" else None
            refuses(call(running, method, path, body), "list", resource)
    running.wait_for(lambda: call(running, "GET", "sandbox").is_success, "the lists")
    running.stop()
    assert left(cluster, place) == []

"""A client of the Kubernetes API: JSON over HTTP, as much as the tests and the stand-in need."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

DEADLINE = 120.0
"""Seconds to wait for something that should take few: test machines are busy."""

Object = dict[str, Any]

GROUPS = {
    "sandboxes": "apis/agents.x-k8s.io/v1beta1",
    "sandboxclaims": "apis/extensions.agents.x-k8s.io/v1beta1",
    "sandboxtemplates": "apis/extensions.agents.x-k8s.io/v1beta1",
    "sandboxwarmpools": "apis/extensions.agents.x-k8s.io/v1beta1",
    "networkpolicies": "apis/networking.k8s.io/v1",
    "customresourcedefinitions": "apis/apiextensions.k8s.io/v1",
    "selfsubjectaccessreviews": "apis/authorization.k8s.io/v1",
    "deployments": "apis/apps/v1",
    "roles": "apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "apis/rbac.authorization.k8s.io/v1",
}
"""The API group of each resource that isn't in the core group."""

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Problem(Exception):
    """The API server has refused a request; ``code`` is the status."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"{response.request.method} {response.request.url}: {response.text}")
        self.code = response.status_code


class Api:
    """The API of a cluster, for the owner of a bearer token."""

    def __init__(self, url: str, certificate: Path, token: str) -> None:
        self.url = url
        self.certificate = certificate
        context = ssl.create_default_context(cafile=str(certificate))
        # Each watch has one. The pool of httpx closes one that the server has ended in one thread
        # while another begins to use it: what that writes goes to whatever gets its descriptor.
        limits = httpx2.Limits(max_connections=None)
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx2.Client(
            base_url=url, verify=context, headers=headers, limits=limits, timeout=DEADLINE
        )

    def close(self) -> None:
        self.http.close()

    def call(self, method: str, path: str, body: Any = None, *, kind: str = "") -> Any:
        """Return the response to a request, as JSON; raises Problem and httpx2.TransportError."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind or "application/json"}
        response = self.http.request(method, path, content=content, headers=headers)
        if response.is_error:
            raise Problem(response)
        return response.json()

    def get(self, resource: str, name: str, namespace: str = "") -> Object:
        found: Object = self.call("GET", f"{path(resource, namespace)}/{name}")
        return found

    def find(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """Return an object, or None if there is none of that name."""
        try:
            return self.get(resource, name, namespace)
        except Problem as problem:
            if problem.code == 404:
                return None
            raise

    def list(self, resource: str, namespace: str = "", **query: str) -> list[Object]:
        where = str(httpx2.URL(path(resource, namespace), params=query))
        found: list[Object] = self.call("GET", where)["items"]
        return found

    def create(self, resource: str, body: Object, namespace: str = "") -> Object:
        made: Object = self.call("POST", path(resource, namespace), body)
        return made

    def patch(self, resource: str, name: str, body: Object, namespace: str = "") -> Object:
        """Merge ``body`` into an object; ``pods/status`` and the like are resources, too."""
        resource, _, below = resource.partition("/")
        where = f"{path(resource, namespace)}/{name}" + (f"/{below}" if below else "")
        patched: Object = self.call("PATCH", where, body, kind=MERGE)
        return patched

    def apply(self, resource: str, body: Object, namespace: str = "", *, dry: bool = False) -> None:
        """Create or change an object by server-side apply."""
        where = f"{path(resource, namespace)}/{body['metadata']['name']}?fieldManager=tests"
        where += "&fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        self.call("PATCH", where, body, kind=APPLY)

    def delete(self, resource: str, name: str, namespace: str = "", **options: Any) -> None:
        """Delete an object, if it is there."""
        try:
            self.call("DELETE", f"{path(resource, namespace)}/{name}", options or None)
        except Problem as problem:
            # 409: a precondition, such as the uid, names an object that is gone.
            if problem.code not in (404, 409):
                raise

    def watch(self, resource: str) -> Iterator[tuple[str, Object]]:
        """Yield the type and the object of each event, first of the objects that are there.

        Ends when the server ends it; raises httpx2.TransportError when the server is gone.
        """
        with self.http.stream(
            "GET",
            path(resource),
            params={"watch": "1"},
            timeout=httpx2.Timeout(DEADLINE, read=None),
        ) as events:
            if events.is_error:
                events.read()
                raise Problem(events)
            for line in events.iter_lines():
                event = json.loads(line)
                yield event["type"], event["object"]


def path(resource: str, namespace: str = "") -> str:
    """Return the path of a resource: ``/api/v1/namespaces/NAMESPACE/pods``."""
    group = GROUPS.get(resource, "api/v1")
    return f"/{group}/" + (f"namespaces/{namespace}/" if namespace else "") + resource


def condition(found: Object | None, kind: str) -> Object:
    """Return a condition of an object, empty if it has none of that type."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def wait_for(
    check: Callable[[], Any],
    what: str,
    log: Callable[[], str] = lambda: "",
    seconds: float = DEADLINE,
) -> Any:
    """Wait until ``check()`` is true, and return its result."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen in time\n{log()[-5000:]}")
        time.sleep(0.02)
    return result

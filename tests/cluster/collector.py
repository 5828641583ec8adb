"""A stand-in for the garbage collector of Kubernetes: objects end with the last of their owners."""

from __future__ import annotations

import contextlib
import threading

import httpx

from .api import Api
from .api import Object
from .api import Problem

OWNED = ("sandboxes", "pods", "services", "persistentvolumeclaims", "networkpolicies")
OWNERS = {
    **dict.fromkeys(("sandboxclaims", "sandboxwarmpools", "sandboxtemplates", "sandboxes"), OWNED),
    # These end all the time, and nothing else belongs to them.
    **dict.fromkeys(("secrets", "pods"), ("networkpolicies",)),
}
"""The resources that may belong to each."""
KINDS = {
    "SandboxClaim": "sandboxclaims",
    "SandboxWarmPool": "sandboxwarmpools",
    "SandboxTemplate": "sandboxtemplates",
    "Sandbox": "sandboxes",
    "Secret": "secrets",
    "Pod": "pods",
}


class Collector:
    """Delete the objects whose owners have been deleted, as soon as they have."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(owner,), name=f"owners-{owner}", daemon=True)
            for owner in OWNERS
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; a watch that is open ends with the API server."""
        self._closed.set()

    def join(self) -> None:
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _watch(self, resource: str) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(httpx.TransportError, Problem):
                for event, found in self._api.watch(resource):
                    if self._closed.is_set():
                        return
                    if event == "DELETED":
                        self._collect(found["metadata"]["uid"], OWNERS[resource])
            self._closed.wait(0.2)

    def _collect(self, owner: str, owned: tuple[str, ...]) -> None:
        for resource in owned:
            for found in self._api.list(resource):
                metadata = found["metadata"]
                references = metadata.get("ownerReferences", [])
                if owner not in (reference["uid"] for reference in references):
                    continue
                if not any(self._is_there(each, metadata["namespace"]) for each in references):
                    self._api.delete(resource, metadata["name"], metadata["namespace"])

    def _is_there(self, reference: Object, namespace: str) -> bool:
        found = self._api.find(KINDS[reference["kind"]], reference["name"], namespace)
        return found is not None and found["metadata"]["uid"] == reference["uid"]

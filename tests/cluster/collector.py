"""A stand-in for the garbage collector of Kubernetes: objects end with their owners."""

from __future__ import annotations

import contextlib
import threading

import httpx

from .api import Api
from .api import Object
from .api import Problem

OWNERS = ("sandboxclaims", "sandboxwarmpools", "sandboxtemplates", "sandboxes")
OWNED = ("sandboxes", "pods", "services", "persistentvolumeclaims", "networkpolicies")


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
                self._collect({found["metadata"]["uid"] for found in self._orphans()})
                for event, found in self._api.watch(resource):
                    if self._closed.is_set():
                        return
                    if event == "DELETED":
                        self._collect({found["metadata"]["uid"]})
            self._closed.wait(0.2)

    def _orphans(self) -> list[Object]:
        return []

    def _collect(self, owners: set[str]) -> None:
        for resource in OWNED:
            for found in self._api.list(resource):
                metadata = found["metadata"]
                references = metadata.get("ownerReferences", [])
                if any(reference["uid"] in owners for reference in references):
                    self._api.delete(resource, metadata["name"], metadata["namespace"])

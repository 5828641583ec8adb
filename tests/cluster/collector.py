"""A stand-in for the garbage collector of Kubernetes: objects end with the last of their owners."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable

import httpx2

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
        self._closed = False
        self._changed = threading.Condition()
        self._lost: set[str] = set()
        """The resources that may have lost an owner since the last sweep."""
        self._threads = [
            threading.Thread(target=self._watch, args=(owner,), name=f"owners-{owner}", daemon=True)
            for owner in OWNERS
        ]
        self._threads.append(threading.Thread(target=self._run, name="collector", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; a watch that is open ends with the API server."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> None:
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _watch(self, resource: str) -> None:
        while not self._closed:
            with contextlib.suppress(httpx2.TransportError, Problem):
                for event, _ in self._api.watch(resource):
                    if self._closed:
                        return
                    if event == "DELETED":
                        self._sweep_soon(OWNERS[resource])
            # Of what was deleted between two watches nothing tells.
            self._sweep_soon(OWNERS[resource])
            self._pause()

    def _sweep_soon(self, owned: Iterable[str]) -> None:
        with self._changed:
            self._lost.update(owned)
            self._changed.notify_all()

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, 0.2)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lost or self._closed)
                if self._closed:
                    return
                owned, self._lost = self._lost, set()
            try:
                self._sweep(owned)
            except (httpx2.TransportError, Problem):
                self._sweep_soon(owned)
                self._pause()

    def _sweep(self, owned: Iterable[str]) -> None:
        """Delete the objects of these resources that had owners and have none left."""
        found = {
            resource: [each for each in self._api.list(resource) if _is_ours(each)]
            for resource in owned
        }
        kinds = {
            each["kind"] for objects in found.values() for one in objects for each in _owners(one)
        }
        # Listed after what they own, so that no new object is without its owner.
        there = {each["metadata"]["uid"] for kind in kinds for each in self._api.list(KINDS[kind])}
        for resource, objects in found.items():
            for each in objects:
                if there.isdisjoint(owner["uid"] for owner in _owners(each)):
                    metadata = each["metadata"]
                    self._api.delete(resource, metadata["name"], metadata["namespace"])


def _is_ours(found: Object) -> bool:
    owners = _owners(found)
    return bool(owners) and all(each["kind"] in KINDS for each in owners)


def _owners(found: Object) -> list[Object]:
    return list(found["metadata"].get("ownerReferences", []))

"""A stand-in for scheduler, kubelet and container runtime: pods are processes of this machine.

It binds each pod to its only node, or reports that it is unschedulable; runs the first container;
reports its states and readiness; starts it again after its end; and stops it with the grace of a
deletion. Unlike a kubelet, it keeps no time but that: no image is pulled, and a container that has
ended is started again at once, unless that happens again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2

from .api import Api
from .api import Object
from .api import Problem
from .pod import Pod
from .quantities import quantity
from .server import Network

NODE = "node-1"
CAPACITY = {"cpu": "512", "memory": "2Ti", "ephemeral-storage": "10Ti", "pods": "5000"}
"""Far more than there is: sandboxes of tests ask for much and use little. What one pod requests is
refused if it is more than all of this.
"""
IMAGES = (
    *("toolbox", "toolbox-minimal", "toolbox-headless", "toolbox-desktop"),
    "toolbox-control-plane",
)


class Kubelet:
    """The stand-in, and its threads.

    ``images`` are the names of those that can be pulled, without tags: others are ErrImagePull.
    """

    def __init__(self, api: Api, directory: Path, network: Network) -> None:
        self.api = api
        self.directory = directory
        self.images = set(IMAGES)
        self.pods: dict[str, Pod] = {}
        """By uid."""
        self._network = network
        self._number = 1
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="kubelet", daemon=True)

    def start(self) -> None:
        node = {"metadata": {"name": NODE}}
        self.api.create("nodes", node)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}
        status = {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [ready]}
        self.api.patch("nodes/status", NODE, {"status": status})
        self._thread.start()

    def stop(self) -> None:
        """End all pods' processes; the API isn't told."""
        self._closed.set()
        with self._lock:
            pods = list(self.pods.values())
        for pod in pods:
            pod.abandon()
        for pod in pods:
            pod.join()

    def join(self) -> None:
        """Wait for the end of the watch, which ends with the API server."""
        if self._thread.ident is not None:
            self._thread.join()

    def pod(self, name: str, namespace: str) -> Pod:
        """Return a running pod by its name; raises KeyError."""
        with self._lock:
            for pod in self.pods.values():
                if (pod.name, pod.namespace) == (name, namespace):
                    return pod
        raise KeyError(name)

    def _watch(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(httpx2.TransportError, Problem):
                self._forget_deleted()
                for event, found in self.api.watch("pods"):
                    if self._closed.is_set():
                        return
                    if event != "ERROR":
                        self._on_pod(event, found)
            self._closed.wait(0.2)

    def _forget_deleted(self) -> None:
        """Stop pods that were deleted while nobody watched."""
        there = {found["metadata"]["uid"] for found in self.api.list("pods")}
        with self._lock:
            gone = [pod for uid, pod in self.pods.items() if uid not in there]
        for pod in gone:
            pod.abandon()

    def _on_pod(self, event: str, found: Object) -> None:
        uid = found["metadata"]["uid"]
        with self._lock:
            pod = self.pods.get(uid)
        if event == "DELETED":
            if pod:
                pod.abandon()
        elif found["metadata"].get("deletionTimestamp"):
            if pod:
                pod.delete(found["metadata"].get("deletionGracePeriodSeconds", 30))
            else:  # It never ran here.
                self._delete(found)
        elif pod is None and found.get("status", {}).get("phase", "Pending") == "Pending":
            self._place(found)

    def _place(self, found: Object) -> None:
        metadata = found["metadata"]
        lacking = [
            resource
            for resource, most in CAPACITY.items()
            if _requested(found["spec"], resource) > quantity(most)
        ]
        if lacking:
            what = ", ".join(f"Insufficient {resource}" for resource in lacking)
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": f"0/1 nodes are available: 1 {what}.",
            }
            status = {"status": {"conditions": [condition]}}
            self.api.patch("pods/status", metadata["name"], status, metadata["namespace"])
            return
        if not found["spec"].get("nodeName"):
            self._bind(metadata)
        pod = Pod(self.api, found, self._address(), self.directory, self.images, self._forget)
        with self._lock:
            self.pods[pod.uid] = pod
        pod.start()

    def _bind(self, metadata: Object) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        where = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        self.api.call("POST", where, {"metadata": {"name": metadata["name"]}, "target": target})

    def _delete(self, found: Object) -> None:
        metadata = found["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        self.api.delete("pods", metadata["name"], metadata["namespace"], **options)

    def _forget(self, pod: Pod) -> None:
        with self._lock:
            self.pods.pop(pod.uid, None)

    def _address(self) -> str:
        """Return an address that no pod has, and none had for long."""
        with self._lock:
            used = {pod.address for pod in self.pods.values()}
            while True:
                self._number = self._number % 0xFFFE + 1
                address = self._network.address(self._number)
                if self._number > 1 and address not in used:
                    return address


def _requested(spec: Object, resource: str) -> float:
    return sum(_requests(spec, resource))


def _requests(spec: Object, resource: str) -> Iterator[float]:
    for container in spec["containers"]:
        requests = (container.get("resources") or {}).get("requests") or {}
        yield quantity(requests.get(resource, "0"))

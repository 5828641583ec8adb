"""One pod of the stand-in for a kubelet, in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from .api import Api
from .api import Object
from .api import Problem
from .container import Container
from .volumes import MissingObject
from .volumes import environment
from .volumes import mounts

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

POLL = 0.05
"""Seconds between two looks at a process, and at its readiness until it is ready."""

PROBE = 1.0
"""Seconds between two looks at the readiness of a container that is ready: each costs both sides a
millisecond of processor time, and there may be a hundred pods.
"""

PAUSE = 0.5
"""Seconds, for each earlier one, before a container is started once more."""


class Pod:
    """A pod that is bound: starts its container, reports on it, ends with it.

    ``on_end`` is called when nothing of it is left.
    """

    def __init__(
        self,
        api: Api,
        found: Object,
        address: str,
        directory: Path,
        images: AbstractSet[str],
        on_end: Callable[[Pod], None],
    ) -> None:
        metadata = found["metadata"]
        self.uid, self.name = metadata["uid"], metadata["name"]
        self.namespace = metadata["namespace"]
        self.address = address
        self.container: Container | None = None
        self.restarts = 0
        self._api = api
        self._found = found
        self._spec: Object = found["spec"]["containers"][0]
        self._directory = directory / self.uid
        self._storage = directory / "claims"
        self._images = images
        self._on_end = on_end
        self._wake = threading.Event()
        self._grace: float | None = None
        self._abandoned = False
        self._out_of_memory = False
        self._ready = False
        self._last: Object = {}
        self._since = _now()
        self._thread = threading.Thread(target=self._run, name=f"pod-{self.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def delete(self, grace: float) -> None:
        """End the container within ``grace`` seconds, then delete the object."""
        self._grace = grace
        self._wake.set()

    def abandon(self) -> None:
        """Kill the container: the object is gone."""
        self._abandoned = True
        self._wake.set()

    def exhaust_memory(self) -> None:
        """End the container as the kernel does when it has no memory left."""
        assert self.container is not None
        self._out_of_memory = True
        self.container.kill()

    def log(self) -> str:
        """Return what the container has written so far, in all of its runs."""
        return (self._directory / "log").read_text("utf-8", "replace")

    def _run(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._pull():
                self._keep_running()
            self._wake_up(None)
        finally:
            if self.container is not None:
                self.container.stop(0 if self._abandoned else self._grace or 0)
            if self._grace is not None and not self._abandoned:
                self._delete_object()
            self._on_end(self)

    def _wake_up(self, timeout: float | None) -> bool:
        """Wait until the pod is deleted, or for ``timeout``; report whether it is."""
        return self._wake.wait(timeout)

    def _pull(self) -> bool:
        image = self._spec["image"]
        if image.rpartition("/")[2].partition(":")[0].partition("@")[0] in self._images:
            return True
        message = f'failed to pull and unpack image "{image}": not found'
        for reason in ("ErrImagePull", "ImagePullBackOff"):
            self._report("Pending", {"waiting": {"reason": reason, "message": message}})
        return False

    def _keep_running(self) -> None:
        while self._create():
            self._ready = False
            self._report("Running", {"running": {"startedAt": _now()}})
            if self._watch():
                return
            assert self.container is not None
            self._last = {"terminated": self._terminated()}
            if not self._is_restarted(self.container.exit_code):
                phase = "Failed" if self.container.exit_code else "Succeeded"
                self._ready = False
                self._report(phase, self._last)
                return
            self.restarts += 1
            self._out_of_memory = False
            # The pause of a kubelet is ten seconds at first.
            if self._wake_up(PAUSE * (self.restarts - 1)):
                return

    def _create(self) -> bool:
        """Start the container, once what it needs is there; report whether it was started."""
        while True:
            try:
                where = mounts(self._api, self._found, self._directory, self._storage)
                env = environment(self._api, self._found, self.address)
            except (MissingObject, Problem, httpx2.TransportError) as error:
                reason = {"reason": "CreateContainerConfigError", "message": str(error)}
                self._report("Pending", {"waiting": reason})
            else:
                log = self._directory / "log"
                self.container = Container(self._spec, self.address, env, where, log)
                return True
            if self._wake_up(0.5):
                return False

    def _watch(self) -> bool:
        """Return True when the pod is deleted, False when its container has ended."""
        assert self.container is not None
        probed = 0.0
        while not self._wake_up(POLL if not self._ready else 5 * POLL):
            if self.container.ended():
                return False
            if self._ready and time.monotonic() - probed < PROBE:
                continue
            ready, probed = self._probe(), time.monotonic()
            if ready != self._ready:
                self._ready = ready
                self._report("Running", {"running": {"startedAt": self._since}})
        return True

    def _probe(self) -> bool:
        """Report whether the container is ready: always, if the pod has no probe for that."""
        probe = self._spec.get("readinessProbe", {}).get("httpGet")
        if probe is None:
            return True
        ports = {port.get("name"): port["containerPort"] for port in self._spec.get("ports", [])}
        port = ports.get(probe["port"], probe["port"])
        # A client of httpx costs 30 ms of processor time, and there may be a hundred pods.
        connection = HTTPConnection(self.address, port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
            connection.request("GET", probe.get("path", "/"))
            return 200 <= connection.getresponse().status < 400
        return False

    def _is_restarted(self, code: int) -> bool:
        policy = self._found["spec"].get("restartPolicy", "Always")
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    def _terminated(self) -> Object:
        assert self.container is not None
        reason = "Error" if self.container.exit_code else "Completed"
        if self._out_of_memory:
            reason = "OOMKilled"
        return {"exitCode": self.container.exit_code, "reason": reason, "finishedAt": _now()}

    def _report(self, phase: str, state: Object) -> None:
        ready = {True: "True", False: "False"}
        conditions = [
            {"type": kind, "status": ready[is_so], "lastTransitionTime": _now()}
            for kind, is_so in (
                ("PodScheduled", True),
                ("Initialized", True),
                ("ContainersReady", self._ready),
                ("Ready", self._ready),
            )
        ]
        container = {
            "name": self._spec["name"],
            "image": self._spec["image"],
            "imageID": "",
            "ready": self._ready,
            "restartCount": self.restarts,
            "state": state,
            "lastState": self._last,
        }
        # A pod has its address from the start on, before it is ready.
        status = {
            "phase": phase,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self._since,
            "conditions": conditions,
            "containerStatuses": [container],
        }
        self._send({"metadata": {"uid": self.uid}, "status": status})

    def _send(self, body: Object) -> None:
        """Store the status, however long the API server is away."""
        while not self._abandoned:
            try:
                self._api.patch("pods/status", self.name, body, self.namespace)
                return
            except httpx2.TransportError:
                time.sleep(POLL)
            except Problem as problem:
                if problem.code in (404, 409, 422):  # It is gone, or another has its name.
                    return
                time.sleep(POLL)

    def _delete_object(self) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        while not self._abandoned:
            try:
                self._api.delete("pods", self.name, self.namespace, **options)
                return
            except (httpx2.TransportError, Problem):
                time.sleep(POLL)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

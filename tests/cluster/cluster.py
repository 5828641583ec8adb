"""A cluster on this machine: a control plane, and a stand-in for its node."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .api import Api
from .api import path
from .api import wait_for
from .collector import Collector
from .kubelet import Kubelet
from .server import ControlPlane
from .server import Network

_numbers = itertools.count(1)


class Cluster:
    """The API server, etcd and controllers, and pods that are services of this machine.

    ``api`` is for its administrator, ``kubeconfig`` is a file for him. ``control_plane`` has the
    programs, to be stopped and started again; ``kubelet`` has the pods.
    """

    def __init__(self, directory: Path) -> None:
        self.network = Network()
        self.control_plane = ControlPlane(directory, self.network)
        with contextlib.ExitStack() as started:
            # In the end, in the reverse order: pods end, then programs, so do the open watches of
            # threads, and what they used is closed.
            started.callback(self.network.close)
            started.callback(self.control_plane.close)
            with contextlib.ExitStack() as failed:
                failed.callback(self.control_plane.stop)
                self.control_plane.start()
                failed.pop_all()
            self.api = self.control_plane.api
            self.kubeconfig = self.control_plane.kubeconfig
            self.kubelet = Kubelet(self.api, directory / "pods", self.network)
            self.collector = Collector(self.api)
            started.callback(self.kubelet.join)
            started.callback(self.collector.join)
            started.callback(self.control_plane.stop)
            self.kubelet.start()
            started.callback(self.kubelet.stop)
            self.collector.start()
            started.callback(self.collector.stop)
            self._started = started.pop_all()

    def stop(self) -> None:
        self._started.close()

    def namespace(self, name: str = "tests") -> str:
        """Make a namespace with an account ``default``, and return its name."""
        made = f"{name.replace('_', '-')}-{next(_numbers)}"
        self.api.create("namespaces", {"metadata": {"name": made}})
        self.api.create("serviceaccounts", {"metadata": {"name": "default"}}, made)
        return made

    def account_token(self, account: str, namespace: str) -> str:
        """Return a token of a service account."""
        where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token: str = self.api.call("POST", where, {"spec": {}})["status"]["token"]
        return token

    def api_of(self, token: str) -> Api:
        """Return the API for the owner of a token; the caller closes it."""
        return Api(self.control_plane.url, self.control_plane.certificate, token)

    def log(self) -> str:
        """Return the ends of the logs of the programs."""
        plane = self.control_plane
        programs = (plane.etcd, plane.server, plane.controller)
        return "\n".join(program.log()[-2000:] for program in programs)

    def clear(self, namespace: str) -> None:
        """Delete the sandboxes and pods of a namespace, and wait until the pods have ended."""
        kinds = ("sandboxclaims", "sandboxwarmpools", "sandboxes", "sandboxtemplates", "pods")
        for resource in kinds:
            self.api.call("DELETE", path(resource, namespace))
        wait_for(lambda: not self.api.list("pods", namespace), "the end of the pods", self.log)


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster for the duration of the block."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-cluster-"))
    cluster = Cluster(directory)
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)

"""The programs of a cluster's control plane: etcd, the API server, controllers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import httpx
import yaml

from toolbox.testing import _end_with_runner
from toolbox.testing import end_tree

from . import programs
from .api import Api
from .api import Problem
from .api import condition
from .api import wait_for

NETWORKS = range(64, 127)
"""Second numbers of the networks 127.N.0.0/16, of which each cluster takes one: all of its programs
listen there on their usual ports.
"""


class Network:
    """A network of loopback addresses that no other cluster of this machine uses."""

    def __init__(self) -> None:
        for number in NETWORKS:
            # Not removed at the end: another process may have opened it.
            lock = (Path(tempfile.gettempdir()) / f"toolbox-tests-127.{number}.lock").open("w")
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lock: TextIO = lock
                self.prefix = f"127.{number}"
                return
            lock.close()
        raise AssertionError(f"all {len(NETWORKS)} networks for clusters are in use")

    def address(self, number: int) -> str:
        """Return one of the addresses, 1 to 65534; the first is that of the control plane."""
        return f"{self.prefix}.{number >> 8}.{number & 255}"

    def close(self) -> None:
        self._lock.close()


class Program:
    """A program of the control plane that can be stopped and started again, and its log."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.command = command
        self.log_file = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.log_file.parent,
            )
        # Pods end with their runner by themselves: bwrap sees to it.
        _end_with_runner(self.process.pid, self.log_file.parent)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; SIGSTOP and SIGCONT make a program slow."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Kill the program: it keeps nothing that must be saved but what is on disk."""
        if self.process is not None:
            end_tree(self.process)
            self.process = None

    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def check(self) -> None:
        """Fail if the program has ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.command[0]} has ended:\n{self.log()[-5000:]}"


class ControlPlane:
    """etcd, the API server and the controllers, without nodes.

    ``api`` is for its administrator; ``kubeconfig`` is a file for him.
    """

    def __init__(self, directory: Path, network: Network) -> None:
        self.directory = directory
        self.address = network.address(1)
        self.url = f"https://{self.address}:6443"
        self.token = secrets.token_hex(16)
        self.certificate = directory / "pki" / "apiserver.crt"
        self.kubeconfig = directory / "kubeconfig"
        built = programs.programs()
        self.etcd_url = f"http://{self.address}:2379"
        self.etcd = Program(self._etcd(), directory / "etcd.log")
        self.server = Program(self._server(built), directory / "kube-apiserver.log")
        self.controller = Program(self._controller(built), directory / "controller.log")
        self.router_address = f"{self.address}:8090"
        self.router = Program(self._router(built), directory / "router.log")
        self._api: Api | None = None

    @property
    def api(self) -> Api:
        """The API for the administrator, once it has started."""
        assert self._api is not None
        return self._api

    def start(self) -> None:
        """Start all programs and wait until the custom resources can be used."""
        key = self.directory / "service-accounts.key"
        command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"]
        subprocess.run([*command, "-out", str(key)], check=True, capture_output=True)
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f'{self.token},administrator,administrator,"system:masters"\n')
        self.etcd.start()
        self.server.start()
        wait_for(self.certificate.exists, "the certificate", self.server.log)
        self.wait_ready()
        self.kubeconfig.write_text(self.kubeconfig_for(self.token))
        self._api = Api(self.url, self.certificate, self.token)
        self._add_custom_resources()
        self.controller.start()

    def close(self) -> None:
        """Close the connections of ``api``, after all who use it have ended."""
        if self._api is not None:
            self._api.close()

    def stop(self) -> None:
        for program in (self.router, self.controller, self.server, self.etcd):
            program.stop()

    def restart_server(self) -> None:
        """Restart the API server: watches end, and their versions are too old for the next one."""
        self.server.stop()
        self.server.start()
        self.wait_ready()

    def start_router(self) -> None:
        """Start the sandbox-router, which no other program needs, and wait until it is ready."""
        self.router.start()
        with httpx.Client(timeout=10) as http:
            wait_for(lambda: self._is_routing(http), "the router", self.router.log)

    def _is_routing(self, http: httpx.Client) -> bool:
        self.router.check()
        with contextlib.suppress(httpx.TransportError):
            return http.get(f"http://{self.address}:8091/readyz").is_success
        return False

    def wait_ready(self) -> None:
        """Wait until the API server is ready."""
        # Without a token: anybody may ask that.
        with httpx.Client(verify=False, timeout=10) as http:
            wait_for(lambda: self._is_ready(http), "the API server", self.server.log)

    def _is_ready(self, http: httpx.Client) -> bool:
        self.etcd.check()
        self.server.check()
        with contextlib.suppress(httpx.TransportError):
            return http.get(f"{self.url}/readyz").is_success
        return False

    def kubeconfig_for(self, token: str, namespace: str = "default") -> str:
        """Return a kubeconfig for the owner of a token."""
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        context = {"cluster": "tests", "user": "tests", "namespace": namespace}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "tests", "cluster": cluster}],
                "users": [{"name": "tests", "user": {"token": token}}],
                "contexts": [{"name": "tests", "context": context}],
                "current-context": "tests",
            }
        )

    def _add_custom_resources(self) -> None:
        names = []
        for file in programs.custom_resources():
            definition = yaml.safe_load(file.read_text())
            # There is one version in use, and no webhook that would convert others.
            definition["spec"]["conversion"] = {"strategy": "None"}
            self.api.create("customresourcedefinitions", definition)
            names.append(definition["metadata"]["name"])
        for name in names:
            wait_for(self._established(name), f"the resource {name}", self.server.log)

    def _established(self, name: str) -> Callable[[], bool]:
        def check() -> bool:
            found = self.api.get("customresourcedefinitions", name)
            if condition(found, "Established").get("status") != "True":
                return False
            try:  # Its operations are there a moment later.
                self.api.list(name.partition(".")[0])
            except Problem:
                return False
            return True

        return check

    def _etcd(self) -> list[str]:
        peer = f"http://{self.address}:2380"
        options = {
            "data-dir": self.directory / "etcd",
            "listen-client-urls": self.etcd_url,
            "advertise-client-urls": self.etcd_url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            # Busy machines, whose disks are slow, must not make it look for a leader.
            "heartbeat-interval": "1000",
            "election-timeout": "10000",
            "quota-backend-bytes": str(1 << 30),
        }
        return ["etcd", *(f"--{name}={value}" for name, value in options.items())]

    def _server(self, built: Path) -> list[str]:
        options = {
            "etcd-servers": self.etcd_url,
            "bind-address": self.address,
            "secure-port": "6443",
            # Loopback is refused; nobody is told of this one.
            "advertise-address": "192.0.2.1",
            "endpoint-reconciler-type": "none",
            "cert-dir": self.certificate.parent,
            "authorization-mode": "RBAC",
            "token-auth-file": self.directory / "tokens.csv",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self.directory / "service-accounts.key",
            "service-account-signing-key-file": self.directory / "service-accounts.key",
            "service-cluster-ip-range": "10.0.0.0/24",
            # It asks etcd for more than that of Debian 12 can, once a second for each resource.
            "feature-gates": "SizeBasedListCostEstimate=false",
            # One wants each namespace's account, one delays the end of claims for storage:
            # both need kube-controller-manager.
            "disable-admission-plugins": "ServiceAccount,StorageObjectInUseProtection",
        }
        program = str(built / "kube-apiserver")
        return [program, *(f"--{name}={value}" for name, value in options.items())]

    def _controller(self, built: Path) -> list[str]:
        options = {
            "kubeconfig": self.kubeconfig,
            "extensions": "true",
            "enable-webhook": "false",
            "leader-elect": "false",
            "metrics-bind-address": f"{self.address}:8080",
            "health-probe-bind-address": f"{self.address}:8081",
        }
        program = str(built / "agent-sandbox-controller")
        return [program, *(f"--{name}={value}" for name, value in options.items())]

    def _router(self, built: Path) -> list[str]:
        options = {
            # Those of pods are such here.
            "allow-loopback-pod-ip": "true",
            "http-bind-address": self.router_address,
            "metrics-bind-address": f"{self.address}:9090",
            "health-probe-bind-address": f"{self.address}:8091",
        }
        program = str(built / "sandbox-router")
        return [program, *(f"--{name}={value}" for name, value in options.items())]

"""Control planes that are killed in the middle of a call.

Run as a program, with a kubeconfig and a namespace: each line of its input is a life, in JSON, and
for each one line of its output tells how it ended, -9 or 0. A life ends by SIGKILL as soon as the
API server has made the given number of its changes, before anything here learns of that.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.sandboxes import Resources
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import reaches
from toolbox_fleet_kubernetes import backend as module
from toolbox_fleet_kubernetes.backend import KubernetesFleet
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.settings import KubernetesSettings

from toolbox.auth.factory import make_auth
from toolbox.lifecycle import Context
from toolbox.settings import AuthSettings
from toolbox.sockets.loop import Loop
from toolbox.testing import end_tree
from toolbox.threads import Pool

Call = Callable[[KubernetesFleet, str, int], object]


def _create(fleet: KubernetesFleet, name: str, **more: Any) -> None:
    wanted = CreateSandbox(name=name, env={"GIVEN": name}, **more)
    reaches(fleet, fleet.create(wanted).id, "started")


def _start(fleet: KubernetesFleet, name: str, number: int) -> None:
    fleet.start(name)
    reaches(fleet, name, "started")


def _limit(fleet: KubernetesFleet, name: str, number: int) -> None:
    fleet.set_network(name, NetworkSettings(network_allow_list=f"10.{number}.0.0/16"))


CALLS: dict[str, Call] = {
    "create": lambda fleet, name, number: _create(fleet, name, network_allow_list="10.0.0.0/8"),
    "create warm": lambda fleet, name, number: _create(fleet, name, snapshot="warm"),
    "delete": lambda fleet, name, number: fleet.delete(name),
    "stop": lambda fleet, name, number: fleet.stop(name, force=True),
    "resize": lambda fleet, name, number: fleet.resize(name, Resources(cpu=1 + number)),
    "start": _start,
    "limit": _limit,
    "rotate": lambda fleet, name, number: fleet.rotate_signing_key(name),
}
"""With the name of the sandbox, and the number of the life."""


class Mortals:
    """The program, as a test uses it."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(kubeconfig), namespace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, call: str, name: str, writes: int) -> bool:
        """Make a call in a process that is killed after a number of writes; report whether it was,
        and not that the call took fewer.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([call, name, writes]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        assert code in (0, -signal.SIGKILL), "its standard error tells why"
        return code != 0

    def end(self) -> None:
        end_tree(self._process)


class _Connection(Connection):
    """A connection that ends its process after some writes."""

    left = itertools.count()

    def send(self, req: httpx2.Request, stream: bool = False) -> httpx2.Response:
        response = super().send(req, stream)
        if req.method != "GET" and response.is_success and not next(self.left):
            os.kill(os.getpid(), signal.SIGKILL)
        return response


def _live(settings: KubernetesSettings, call: str, name: str, writes: int) -> None:
    _Connection.left = itertools.count(1 - writes)
    module.Connection = _Connection  # type: ignore[misc]
    loop, pool = Loop(), Pool(8, "toolbox-pool")
    loop.start()
    pool.start()
    auth = make_auth(AuthSettings(mode="none"), "127.0.0.1", {})
    context = Context(FleetSettings(), loop, pool, Path.cwd(), auth)
    CALLS[call](KubernetesFleet(settings, context), name, writes)


def main() -> None:
    """Live."""
    kubeconfig, namespace = sys.argv[1:]
    settings = KubernetesSettings(kubeconfig=kubeconfig, namespace=namespace)
    for line in sys.stdin:
        # Imported is everything already, and there is no thread yet.
        pid = os.fork()
        if not pid:
            try:
                _live(settings, *json.loads(line))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()

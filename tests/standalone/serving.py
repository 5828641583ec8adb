"""The standalone build, serving in a root file system."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from daytona import Daytona
from daytona import DaytonaConfig
from daytona import Sandbox

from toolbox.testing import DEADLINE
from toolbox.testing import ending


class Running:
    """A service in a root file system."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        headers = {"Authorization": "Bearer t"}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=DEADLINE)

    def sandbox(self) -> Sandbox:
        """Return it as the official SDK sees it."""
        return Daytona(DaytonaConfig(api_key="t", api_url=f"{self.url}/api", target="local")).get(
            "any"
        )


@contextmanager
def serving(
    tree: Path, root: Path, *binds: str, wrapper: Sequence[str] = (), **env: str
) -> Iterator[Running]:
    """Run the program in a root file system that it can't write to, as a user without rights.

    ``wrapper`` is a program that starts the one it is given.
    """
    variables = {"HOME": "/home/ada", "PATH": "/bin", "TOOLBOX_TOKEN": "t"}
    variables |= {"TOOLBOX__FLEET__BACKEND": "single", **env}
    options = ["--unshare-user", "--unshare-pid", "--uid", "1000", "--gid", "1000", "--clearenv"]
    options += ["--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
    options += ["--tmpfs", "/tmp", "--tmpfs", "/home/ada", "--chdir", "/home/ada", *binds]
    options += ["--ro-bind", str(tree), "/toolbox"]
    for name, value in variables.items():
        options += ["--setenv", name, value]
    program = ("/toolbox/bin/toolbox", "serve", "--port", "0")
    process = subprocess.Popen(
        [*wrapper, "bwrap", *options, "--die-with-parent", *program],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with ending(process):
        assert select.select([process.stdout], [], [], 4 * DEADLINE)[0], "it says nothing"
        line = process.stdout.readline()
        assert line.startswith("Starting toolbox server on port "), line
        running = Running(int(line.rpartition(" ")[2]))
        with running.client:
            yield running

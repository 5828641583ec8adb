"""A pod's container as a process: bwrap gives it mounts and process ids of its own.

It shares this machine's network: a pod is told apart by its loopback address. What an image would
bring is what is installed here; its user and its limits of cores and memory aren't enforced.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from toolbox.linux.procfs import children
from toolbox.testing import end_tree

HOME = "/home/sandbox"
PORT = 2280
ROOT = Path(__file__).parents[2]


class Container:
    """One run of a container: it ends, and is started again as another one."""

    def __init__(
        self,
        spec: dict[str, Any],
        address: str,
        env: dict[str, str],
        mounts: dict[str, Path],
        log: Path,
    ) -> None:
        """``mounts`` has the directory for each path in the container."""
        # As the images of conf/images do.
        command = [sys.executable, "-m", "toolbox", "serve", "--port", str(PORT)]
        if spec.get("command"):
            command = [*spec["command"], *spec.get("args", [])]
        environ = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}
        environ |= {"HOME": HOME, "LANG": "C.UTF-8", **env}
        if not spec.get("command"):
            environ.setdefault("TOOLBOX__FLEET__BACKEND", "single")
        # A container has a network of its own, and listens on all of its addresses.
        environ["TOOLBOX__SERVER__HOST"] = address
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*_bwrap(mounts), *(_expand(word, environ) for word in command)],
                env={name: _expand(value, environ) for name, value in environ.items()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def exit_code(self) -> int:
        """The exit code as container runtimes have it: 128 and the number of a signal."""
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the container's program."""
        # bwrap, its first process in the namespace, the program.
        below = [pid for child in children(self.process.pid) for pid in children(child)]
        for pid in below or [self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, grace: float) -> None:
        """End it with SIGTERM, and with SIGKILL after ``grace`` seconds."""
        self.kill(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        end_tree(self.process)
        # One that is ended while it starts may have a child that has not asked yet to end with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _expand(text: str, env: dict[str, str]) -> str:
    """Replace ``$(NAME)``, as Kubernetes does in the environment and the arguments."""
    return re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), text)


def _bwrap(mounts: dict[str, Path]) -> list[str]:
    command = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--tmpfs", "/"]
    for entry in sorted(Path("/").iterdir()):
        if entry.name not in ("proc", "dev", "tmp", "home", "root", "run"):
            command += _shown(entry, [Path(target) for target in mounts])
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", HOME]
    command += ["--dir", "/run"]
    for target, source in sorted(mounts.items()):  # Outer ones first.
        command += ["--bind", str(source), target]
    # Over a volume, too: the project may be in /tmp.
    for path in _needed():
        command += ["--ro-bind", str(path), str(path)]
    return [*command, "--chdir", HOME, "--"]


def _shown(entry: Path, targets: list[Path]) -> list[str]:
    """Return the options that show a file of this machine, read-only."""
    if entry.is_symlink():
        return ["--symlink", os.readlink(entry), str(entry)]
    inside = [target for target in targets if target.is_relative_to(entry)]
    if all(target.exists() for target in inside):
        return ["--ro-bind", str(entry), str(entry)]
    # A directory for a mount can be made only in one of the container's own.
    below = [_shown(file, inside) for file in sorted(entry.iterdir())]
    return ["--dir", str(entry), *(option for options in below for option in options)]


def _needed() -> list[Path]:
    """Return the directories of Python and of the project, if they are in one that is hidden."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve(), ROOT}
    hidden = [Path(name) for name in ("/tmp", "/home", "/root", "/run")]
    return sorted(path for path in wanted if any(path.is_relative_to(each) for each in hidden))

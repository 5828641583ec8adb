"""The launcher ``bubblewrap``: each job has its own processes and mounts, by bwrap(1).

Programs see the files of the sandbox and may change them. They don't see processes outside of their
job, the directories where the service keeps output and journals, or the files of its secrets.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.launcher import Program
from toolbox_process.launchers.child import LocalChild
from toolbox_process.launchers.delayed import delay_unsafe
from toolbox_process.launchers.identity import check_rights
from toolbox_process.launchers.identity import find_identity
from toolbox_process.launchers.plain import PlainLauncher
from toolbox_process.launchers.sharing import check_program
from toolbox_process.launchers.sharing import share_with
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.launchers.terminal import on_terminal
from toolbox_process.launchers.wrapped import WrappedChild
from toolbox_process.linux.marks import Mark
from toolbox_process.settings import LocalSettings

KEPT = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
"""Capabilities that root keeps, those of containers but MKNOD. With more it could take away the
mounts that hide something (SYS_ADMIN) or read the disk itself (MKNOD, DAC_READ_SEARCH, SYS_RAWIO).
"""

READ_ONLY = ("/sys", "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
"""Paths by which root could change the kernel without a capability: what core_pattern (core(5)) or
a control group's release_agent (cgroups(7)) names is run outside of every namespace.
"""

CONSOLE = "/dev/console"
"""The path of a job's terminal: in its own ``/dev/pts`` there is none."""

PROBE = 10.0
"""Seconds that the attempt to run bwrap may take."""


class BubblewrapLauncher(PlainLauncher):
    """Children of bwrap, which is a child of this process."""

    def __init__(self, settings: LocalSettings) -> None:
        super().__init__(settings)
        if settings.launcher_user:
            self.identity = find_identity(settings.launcher_user)
        self._bwrap = shutil.which("bwrap") or "bwrap"
        self._options = settings.bubblewrap_options
        self._find_private: Callable[[], Iterable[Path]] = list

    @classmethod
    def check(cls, settings: LocalSettings) -> None:
        if shutil.which("bwrap") is None:
            raise ValueError("bwrap (bubblewrap) is not installed")
        if settings.launcher_user:
            find_identity(settings.launcher_user)
            check_rights()
        launcher = cls(settings)
        command = [*launcher._wrapper((), ()), "--", "true"]
        launcher.close()
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PROBE, cwd="/"
        )
        if done.returncode:
            line = (done.stderr.strip().splitlines() or ["it gives no reason"])[-1]
            raise ValueError(f"bwrap doesn't work here: {line}")

    def hide(self, find: Callable[[], Iterable[Path]]) -> None:
        self._find_private = find

    def spawn_on(self, program: Program, mark: Mark, device: PtyDevice) -> LocalChild:
        arguments = on_terminal(CONSOLE, program.arguments, program.environment)
        # A terminal becomes the controlling one of a session's leader only, and bwrap's
        # --new-session makes that of its own first process, not of the program.
        arguments = ("setsid", *arguments)
        return self.spawn(replace(program, arguments=arguments), mark, self.host.nothing, device)

    def spawn(
        self, program: Program, mark: Mark, streams: Pipes, device: PtyDevice | None = None
    ) -> LocalChild:
        identity = self.identity_of(program.user)
        if identity is not None:
            check_program(identity, program)
            share_with(identity, program, streams, device)
        program = delay_unsafe(program)
        private = [path.resolve() for path in self._find_private()]
        wrapper = self._wrapper(private, program.state, device)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            arguments = (
                *(*wrapper, "--info-fd", str(writing), "--chdir", str(program.cwd), "--"),
                *(identity.arguments() if identity else ()),
                *program.arguments,
            )
            pass_fds = (*program.pass_fds, writing)
            wrapped = replace(program, arguments=arguments, pass_fds=pass_fds)
            process = self.popen(wrapped, mark, streams)
            os.close(writing)
            writing = -1
            return WrappedChild(self.host, process, mark, device, _read_pid(reading))
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)

    def _wrapper(
        self,
        private: Iterable[Path],
        state: Iterable[Path],
        device: PtyDevice | None = None,
    ) -> list[str]:
        """Return the command that runs what follows in its own namespaces."""
        command = [self._bwrap, "--unshare-pid", "--new-session", "--bind", "/", "/"]
        command += ["--proc", "/proc", "--dev", "/dev"]
        for name in READ_ONLY:
            command += ["--ro-bind-try", name, name]
        if device is not None:
            command += ["--dev-bind", device.path, CONSOLE]
        for path in private:
            command += _covered(path)
        # Read-only: or a program could put a link where the service opens a pipe a moment later.
        # Pipes in there can still be written to (open(2), EROFS is for files).
        for path in state:
            # Parents that it makes itself, in the new /dev/shm, bwrap keeps for root.
            command += ["--dir", str(path.parent), "--ro-bind", str(path), str(path)]
        command += _capabilities()
        return [*command, *self._options]


def _covered(path: Path) -> Iterator[str]:
    """Yield the arguments that hide a directory or a file, unless it isn't seen anyway."""
    if path.is_relative_to("/dev") or path.is_relative_to("/proc"):
        return
    if path.is_dir():
        yield from ("--tmpfs", str(path))
    elif path.exists():
        yield from ("--ro-bind", "/dev/null", str(path))


def _capabilities() -> Iterator[str]:
    if os.geteuid() == 0:  # Others have none, and get none.
        yield from ("--cap-drop", "ALL")
        for name in KEPT:
            yield from ("--cap-add", f"CAP_{name}")


def _read_pid(fd: int) -> int:
    """Return the pid that the first process of the new namespace has here; 0 if there is none."""
    text = b""
    while not text.rstrip().endswith(b"}") and (data := os.read(fd, 1024)):
        text += data
    return int(json.loads(text)["child-pid"]) if text else 0

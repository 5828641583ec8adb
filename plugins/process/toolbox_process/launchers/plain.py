"""The launcher ``plain``: programs run as the user of the service and see what it sees."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolbox.linux.procfs import Process
from toolbox.processes import environment
from toolbox.processes import popen
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Launcher
from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.launcher import Program
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.launchers.child import LocalChild
from toolbox_process.launchers.host import Host
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.launchers.terminal import on_terminal
from toolbox_process.linux.marks import VARIABLE
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.tree import Tree
from toolbox_process.linux.workdir import start_directory
from toolbox_process.settings import LocalSettings

NULL = Pipes(None, subprocess.DEVNULL, subprocess.DEVNULL)


class PlainLauncher(Launcher):
    """Children of this process."""

    def __init__(self, settings: LocalSettings) -> None:
        self.host = Host()

    def start(self, program: Program, streams: Pipes | TerminalSize) -> Child:
        mark = self.host.new_mark(program.job_id)
        marked = {**program.environment, VARIABLE: program.job_id}
        program = replace(program, environment=marked)
        if isinstance(streams, Pipes):
            return self.spawn(program, mark, streams)
        device = PtyDevice(streams)
        try:
            return self.spawn_on(program, mark, device)
        except BaseException:
            device.close()
            raise

    def spawn_on(self, program: Program, mark: Mark, device: PtyDevice) -> LocalChild:
        """Start ``program`` on a terminal."""
        arguments = on_terminal(device.path, program.arguments, program.environment)
        return self.spawn(replace(program, arguments=arguments), mark, NULL, device)

    def spawn(
        self, program: Program, mark: Mark, streams: Pipes, device: PtyDevice | None = None
    ) -> LocalChild:
        """Start ``program``."""
        process = self.popen(program, mark, streams)
        return LocalChild(self.host, process, mark, device)

    def popen(self, program: Program, mark: Mark, streams: Pipes) -> subprocess.Popen[bytes]:
        """Start ``program`` in its own session. Raises OSError."""
        return popen(
            list(program.arguments),
            mark.number,
            cwd=program.cwd,
            env=program.environment,
            pass_fds=program.pass_fds,
            bufsize=0,
            stdin=subprocess.DEVNULL if streams.stdin is None else streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
        )

    def end_all(self, running: Sequence[Child], ended: Sequence[Child], grace: float) -> list[int]:
        children = [child for child in (*running, *ended) if isinstance(child, LocalChild)]

        def end() -> list[Process]:
            leaders = [leader for child in children if (leader := child.leader())]
            supervisors = frozenset[int]().union(*(child.supervisors() for child in children))
            marks = [child.mark for child in children]
            return Tree(leaders, marks, spared=supervisors).end(grace)

        return [process.pid for process in self.host.spare.look(end)]

    def environment(self) -> dict[str, str]:
        return {**self.host.cores.hints(), **environment()}

    def start_directory(self, preferred: Path) -> Path:
        return start_directory(preferred)

    def close(self) -> None:
        self.host.close()

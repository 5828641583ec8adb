"""The launcher ``plain``: programs run as the user of the service and see what it sees.

What all launchers on this machine have is here, too: another user for single programs, and limits.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox.linux.procfs import Process
from toolbox.processes import Call
from toolbox.processes import ChildProcess
from toolbox.processes import environment
from toolbox.processes import start
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Launcher
from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.launcher import Program
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.spec import OpenPipes
from toolbox_process.launchers import sharing
from toolbox_process.launchers.child import LocalChild
from toolbox_process.launchers.delayed import delay_unsafe
from toolbox_process.launchers.host import Host
from toolbox_process.launchers.identity import Identity
from toolbox_process.launchers.identity import check_rights
from toolbox_process.launchers.identity import find_identity
from toolbox_process.launchers.identity import look_up
from toolbox_process.launchers.sharing import check_program
from toolbox_process.launchers.sharing import share_with
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.launchers.terminal import on_terminal
from toolbox_process.linux.bounds import make_bounds
from toolbox_process.linux.marks import VARIABLE
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.tree import Tree
from toolbox_process.linux.workdir import start_directory
from toolbox_process.settings import LocalSettings


class PlainLauncher(Launcher):
    """Children of this process."""

    chooses = frozenset({"user", "limits"})

    def __init__(self, settings: LocalSettings) -> None:
        self.host = Host()
        self.identity: Identity | None = None
        """The user of all programs, if that isn't the service's."""

    def identity_of(self, user: str) -> Identity | None:
        """Return who a program runs as for whom ``user`` was asked, None for the service's user.
        Raises BadRequest.
        """
        if not user:
            return self.identity
        own = self.identity.uid if self.identity else os.geteuid()
        try:
            found = look_up(user)
            if found.uid == own:
                return self.identity
            if self.identity:
                raise ValueError(f"programs run as {self.identity.name} only")
            check_rights()
            return find_identity(user)
        except ValueError as error:
            raise BadRequest(f"user {user!r}: {error}") from None

    def start(self, program: Program, streams: Pipes | TerminalSize) -> Child:
        mark = self.host.new_mark(program.job_id)
        if program.limits is None or not program.limits.given():
            return self._start(program, mark, streams)
        # The limits hold for what becomes the program before it does, so also for bwrap.
        identity = self.identity_of(program.user)
        uid = identity.uid if identity else os.geteuid()
        bounds = make_bounds(self.host.groups, program.limits, uid)
        try:
            program = replace(program, entrance=bounds.entrance)
            child = self._start(program, mark, streams)
        except BaseException:
            bounds.close()
            raise
        child.bind(bounds)
        return child

    def _start(self, program: Program, mark: Mark, streams: Pipes | TerminalSize) -> LocalChild:
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
        return self.spawn(replace(program, arguments=arguments), mark, self.host.nothing, device)

    def spawn(
        self, program: Program, mark: Mark, streams: Pipes, device: PtyDevice | None = None
    ) -> LocalChild:
        """Start ``program`` as the user it is for."""
        identity = self.identity_of(program.user)
        if identity is not None:
            check_program(identity, program)
            share_with(identity, program, streams, device)
            program = delay_unsafe(program)
            arguments = (*identity.arguments(), *program.arguments)
            program = replace(program, arguments=arguments)
        process = self.popen(program, mark, streams)
        return LocalChild(self.host, process, mark, device)

    def popen(
        self, program: Program, mark: Mark, streams: Pipes
    ) -> ChildProcess | subprocess.Popen[bytes]:
        """Start ``program`` in its own session. Raises OSError."""
        stdin = self.host.null if streams.stdin is None else streams.stdin
        call = Call(
            program.arguments,
            str(program.cwd),
            {**program.environment, VARIABLE: program.job_id},
            (stdin, streams.stdout, streams.stderr),
            program.pass_fds,
        )
        if not program.entrance:
            return start(call, mark.number)
        # As subprocess does it: the pipe is closed by execve(2), or an errno comes through.
        with OpenPipes(1) as pipes:
            reading, writing = pipes[0]
            arguments = (*program.entrance, str(writing), *program.arguments)
            pass_fds = (*program.pass_fds, writing)
            process = start(call._replace(arguments=arguments, pass_fds=pass_fds), mark.number)
            os.close(pipes[0].pop())
            if failure := os.read(reading, 16):
                process.wait()
                number = int(failure)
                raise OSError(number, os.strerror(number), program.arguments[0])
        return process

    def end_all(self, running: Sequence[Child], ended: Sequence[Child], grace: float) -> list[int]:
        children = [child for child in (*running, *ended) if isinstance(child, LocalChild)]

        def end() -> list[Process]:
            leaders = [leader for child in children if (leader := child.leader())]
            supervisors = frozenset[int]().union(*(child.supervisors() for child in children))
            marks = [child.mark for child in children]
            return Tree(leaders, marks, spared=supervisors).end(grace)

        return [process.pid for process in self.host.spare.look(end)]

    def environment(self) -> dict[str, str]:
        return self._environment_of(self.identity)

    def _environment_of(self, identity: Identity | None) -> dict[str, str]:
        variables = {**self.host.cores.hints(), **environment()}
        return identity.variables(variables) if identity else variables

    def home(self) -> Path:
        return self.identity.home if self.identity else super().home()

    def start_directory(self, preferred: Path) -> Path:
        return self._start_directory_of(self.identity, preferred)

    @staticmethod
    def _start_directory_of(identity: Identity | None, preferred: Path) -> Path:
        return (
            sharing.start_directory(identity, preferred) if identity else start_directory(preferred)
        )

    def outfit(self, user: str, preferred: Path) -> tuple[Path, dict[str, str]]:
        identity = self.identity_of(user)
        return self._start_directory_of(identity, preferred), self._environment_of(identity)

    def share(self, path: Path | int) -> None:
        if self.identity is not None:
            sharing.share(self.identity, path)

    def create(self, path: Path, user: str) -> int:
        return sharing.create(self.identity_of(user), path)

    def close(self) -> None:
        self.host.close()

"""The desktop as a whole: starts and stops its programs together."""

from __future__ import annotations

import threading
from collections.abc import Callable

from toolbox.linux.clock import awake
from toolbox.processes import changing_environment
from toolbox.processes import descendants
from toolbox_computeruse import settings
from toolbox_computeruse.connection import server_pid
from toolbox_computeruse.connection import server_responds
from toolbox_computeruse.desktop.programs import DesktopContext
from toolbox_computeruse.desktop.programs import check_installed
from toolbox_computeruse.desktop.programs import find_programs
from toolbox_computeruse.desktop.supervisor import Program
from toolbox_computeruse.desktop.supervisor import Supervisor
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import ProcessNotFound
from toolbox_computeruse.models import ProcessStatus
from toolbox_computeruse.settings import ComputerUseSettings

POLL = 0.02
"""Seconds between readiness checks."""

ONE_SHOT = ("atspi",)
"""Programs that the API shows without a pid: they count as running if their bus responds."""


class Desktop:
    """An implementation of :class:`toolbox_computeruse.backend.Desktop` with supervised programs.

    ``stopping`` is called before the programs are stopped.
    """

    def __init__(
        self,
        options: ComputerUseSettings,
        context: DesktopContext,
        stopping: Callable[[], None],
    ) -> None:
        self._options = options
        self._context = context
        self._stopping = stopping
        self._lock = threading.Lock()
        """Held while programs are started and stopped."""
        self._stopped = threading.Event()
        """Set while a call of :meth:`stop` waits for the lock."""
        self._finding = threading.Lock()
        self._supervisors: dict[str, Supervisor] = {}
        self._environ: dict[str, str | None] = {}
        """Values of the service's own environment variables before the start."""

    def start(self) -> dict[str, ProcessStatus]:
        with self._lock:
            check_installed(self._options)
            supervisors = self._all()
            self._check_display()
            # Before programs start, since sessions pass their environment on.
            self._set_environ()
            for supervisor in supervisors.values():
                supervisor.start()
            self._wait_until_ready(list(supervisors.values()))
            return self.programs()

    def stop(self) -> dict[str, ProcessStatus]:
        self._stopped.set()  # Ends the wait of a concurrent start, which holds the lock.
        with self._lock:
            self._stopped.clear()
            self._stopping()
            for supervisor in reversed(self._all().values()):
                supervisor.stop()
            self._restore_environ()
            return self.programs()

    def parts(self) -> list[Program]:
        """Return the programs of the desktop that are enabled and installed."""
        return [supervisor.program for supervisor in self._all().values()]

    def programs(self) -> dict[str, ProcessStatus]:
        """Return the state of each program, by name."""
        return {name: _status(supervisor) for name, supervisor in self._all().items()}

    def state(self) -> str:
        supervisors = self._all().values()
        running = {one.program.name for one in supervisors if one.pid is not None}
        required = {one.program.name for one in supervisors if one.program.required}
        available = not self._options.attach or server_responds(self._context.display)
        if required <= running and available and (required or self._options.attach):
            return "active"
        return "partial" if running else "inactive"

    def runs(self, name: str) -> bool:
        return _runs(self._find(name))

    def restart(self, name: str) -> None:
        with self._lock:
            chosen = self._find(name)
            # Dependent programs would end by themselves, but be restarted only after a pause.
            users = [one for one in self._all().values() if name in one.program.uses]
            affected = [chosen, *(one for one in users if one.started)]
            for supervisor in reversed(affected):
                supervisor.stop()
            for supervisor in affected:
                supervisor.start()
            if chosen.program.needs():
                self._wait_until_ready(affected)

    def is_up(self) -> bool:
        """Report whether there is an X server to use: the desktop's own, or any if attached."""
        own = self._supervisors.get("xvfb")
        return self._options.attach or (own is not None and own.pid is not None)

    def check_server(self, pid: int) -> None:
        """Raise ComputerUseUnavailable if the process is not this desktop's X server."""
        if not self._may_use(pid):
            raise self._not_ours()

    def server_responds(self) -> bool:
        """Report whether this desktop's X server responds."""
        pid = server_pid(self._context.display)
        return pid is not None and self._may_use(pid)

    def _may_use(self, pid: int) -> bool:
        own = None if self._options.attach else self._supervisors.get("xvfb")
        if own is None or own.pid is None:
            return self._options.attach
        # Some distributions wrap the server in a script, of which it is a child.
        return pid == own.pid or pid in descendants(own.pid)

    def _not_ours(self) -> ComputerUseUnavailable:
        return ComputerUseUnavailable(
            f"display {self._context.display} belongs to another X server;"
            " set computeruse.attach to use it"
        )

    def output(self, name: str) -> str:
        return self._find(name).output.text()

    def errors(self, name: str) -> str:
        return self._find(name).errors.text()

    def close(self) -> None:
        """Stop all programs."""
        self.stop()

    def _all(self) -> dict[str, Supervisor]:
        """Return the supervisors of the installed programs, by name, in the order of their start.

        Programs installed later are found as long as the desktop hasn't been started.
        """
        with self._finding:
            if all(one.given_up for one in self._supervisors.values()):
                log_dir = settings.state_dir(self._options)
                known = self._supervisors
                self._supervisors = {
                    program.name: known.get(program.name) or Supervisor(program, log_dir)
                    for program in find_programs(self._options, self._context)
                }
            return self._supervisors

    def _find(self, name: str) -> Supervisor:
        try:
            return self._all()[name]
        except KeyError:
            known = ", ".join(self._all())
            raise ProcessNotFound(
                f"the desktop has no program {name!r}; installed and enabled programs: {known}"
            ) from None

    def _check_display(self) -> None:
        display, own = self._context.display, self._supervisors.get("xvfb")
        responds = server_responds(display)
        if self._options.attach and not responds:
            raise ComputerUseUnavailable(f"no X server to attach to responds on display {display}")
        if own is not None and own.given_up and responds:
            raise self._not_ours()

    def _wait_until_ready(self, supervisors: list[Supervisor]) -> None:
        deadline = awake() + self._options.start_timeout
        waiting = supervisors
        while waiting := [one for one in waiting if not one.ready()]:
            optional = all(not one.program.required for one in waiting)
            if optional and all(one.given_up for one in waiting):
                return
            if awake() > deadline:
                if optional:
                    return
                raise ComputerUseUnavailable(_complaint(waiting))
            if self._stopped.wait(POLL):
                raise ComputerUseUnavailable("the desktop was stopped while it started")

    def _set_environ(self) -> None:
        """Set variables by which processes started from now on, commands too, find the desktop."""
        wanted = {"DISPLAY": self._context.display}
        if self._context.own_bus and "dbus" in self._supervisors:
            wanted["DBUS_SESSION_BUS_ADDRESS"] = self._context.bus
        with changing_environment() as environ:
            for name, value in wanted.items():
                # A second start finds the values of the first, which are not to be restored.
                self._environ.setdefault(name, environ.get(name))
                environ[name] = value

    def _restore_environ(self) -> None:
        with changing_environment() as environ:
            for name, value in self._environ.items():
                if value is None:
                    environ.pop(name, None)
                else:
                    environ[name] = value
        self._environ = {}


def _complaint(waiting: list[Supervisor]) -> str:
    reasons = [
        f"{one.program.name}: {one.failure or 'not ready in time'}"
        for one in waiting
        if one.program.required
    ]
    return f"the desktop did not start: {'; '.join(reasons)}"


def _status(supervisor: Supervisor) -> ProcessStatus:
    program = supervisor.program
    return ProcessStatus(
        running=_runs(supervisor),
        priority=program.priority,
        auto_restart=program.auto_restart,
        pid=None if program.name in ONE_SHOT else supervisor.pid,
    )


def _runs(supervisor: Supervisor) -> bool:
    if supervisor.program.name in ONE_SHOT:
        return supervisor.ready()
    return supervisor.pid is not None

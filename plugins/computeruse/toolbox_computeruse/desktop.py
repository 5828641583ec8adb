"""The desktop as a whole: its programs, started and stopped together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from toolbox.processes import changing_environment
from toolbox.processes import descendants
from toolbox_computeruse import settings
from toolbox_computeruse.connection import server_answers
from toolbox_computeruse.connection import server_pid
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import ProcessNotFound
from toolbox_computeruse.models import ProcessStatus
from toolbox_computeruse.programs import Place
from toolbox_computeruse.programs import check_installed
from toolbox_computeruse.programs import find_programs
from toolbox_computeruse.settings import ComputerUseSettings
from toolbox_computeruse.supervisor import Program
from toolbox_computeruse.supervisor import Supervisor

POLL = 0.02

ONE_SHOT = ("atspi",)
"""Programs that the API shows without a pid: what counts is whether the bus answers."""


class Desktop:
    """See :class:`toolbox_computeruse.backend.Desktop`.

    ``stopping`` is called before it is ended.
    """

    def __init__(
        self,
        options: ComputerUseSettings,
        place: Place,
        stopping: Callable[[], None],
    ) -> None:
        self._options = options
        self._place = place
        self._stopping = stopping
        self._lock = threading.Lock()
        """Held while programs are started and ended."""
        self._stopped = threading.Event()
        """Set while somebody waits to end them all."""
        self._finding = threading.Lock()
        self._supervisors: dict[str, Supervisor] = {}
        self._environ: dict[str, str | None] = {}
        """What variables of the service's own environment were before the start."""

    def start(self) -> dict[str, ProcessStatus]:
        with self._lock:
            check_installed(self._options)
            supervisors = self._all()
            self._check_display()
            self._set_environ()
            for each in supervisors.values():
                each.start()
            self._wait_until_ready(list(supervisors.values()))
            return self.programs()

    def stop(self) -> dict[str, ProcessStatus]:
        self._stopped.set()  # Whoever waits until they are ready waits in vain.
        with self._lock:
            self._stopped.clear()
            self._stopping()
            for each in reversed(self._all().values()):
                each.stop()
            self._restore_environ()
            return self.programs()

    def parts(self) -> list[Program]:
        """The programs it is made of, as far as they are wanted and installed."""
        return [each.program for each in self._all().values()]

    def programs(self) -> dict[str, ProcessStatus]:
        return {name: _status(each) for name, each in self._all().items()}

    def state(self) -> str:
        supervisors = self._all().values()
        running = {each.program.name for each in supervisors if each.pid is not None}
        required = {each.program.name for each in supervisors if each.program.required}
        there = not self._options.attach or server_answers(self._place.display)
        if required <= running and there and (required or self._options.attach):
            return "active"
        return "partial" if running else "inactive"

    def runs(self, name: str) -> bool:
        return _runs(self._find(name))

    def restart(self, name: str) -> None:
        with self._lock:
            chosen = self._find(name)
            # In order and without the pauses of programs that end by themselves.
            users = [each for each in self._all().values() if name in each.program.uses]
            ended = [chosen, *(each for each in users if each.started)]
            for each in reversed(ended):
                each.stop()
            for each in ended:
                each.start()
            if chosen.program.needs():
                self._wait_until_ready(ended)

    def is_up(self) -> bool:
        """Whether there is an X server to be used: one of our own, or any where that is set."""
        own = self._supervisors.get("xvfb")
        return self._options.attach or (own is not None and own.pid is not None)

    def check_server(self, pid: int) -> None:
        """Raises ComputerUseUnavailable if that process is an X server of others."""
        if not self._may_use(pid):
            raise self._not_ours()

    def server_answers(self) -> bool:
        """Whether the X server that is to be used answers."""
        pid = server_pid(self._place.display)
        return pid is not None and self._may_use(pid)

    def _may_use(self, pid: int) -> bool:
        own = None if self._options.attach else self._supervisors.get("xvfb")
        if own is None or own.pid is None:
            return self._options.attach
        # Some distributions wrap it in a script, whose child it is.
        return pid == own.pid or pid in descendants(own.pid)

    def _not_ours(self) -> ComputerUseUnavailable:
        return ComputerUseUnavailable(
            f"display {self._place.display} belongs to another X server;"
            " set computeruse.attach to use it"
        )

    def output(self, name: str) -> str:
        return self._find(name).output.text()

    def errors(self, name: str) -> str:
        return self._find(name).errors.text()

    def close(self) -> None:
        """End everything."""
        self.stop()

    def _all(self) -> dict[str, Supervisor]:
        """The supervisors of everything installed, by name, in the order of the start.

        What is installed later is found as long as the desktop has not been started.
        """
        with self._finding:
            if not any(not each.given_up for each in self._supervisors.values()):
                log_dir = settings.state_dir(self._options)
                known = self._supervisors
                self._supervisors = {
                    program.name: known.get(program.name) or Supervisor(program, log_dir)
                    for program in find_programs(self._options, self._place)
                }
            return self._supervisors

    def _find(self, name: str) -> Supervisor:
        try:
            return self._all()[name]
        except KeyError:
            known = ", ".join(self._all())
            raise ProcessNotFound(
                f"the desktop has no program {name!r}; installed and switched on are: {known}"
            ) from None

    def _check_display(self) -> None:
        display, own = self._place.display, self._supervisors.get("xvfb")
        there = server_answers(display)
        if self._options.attach and not there:
            raise ComputerUseUnavailable(f"no X server answers on display {display} to attach to")
        if own is not None and own.given_up and there:
            raise self._not_ours()

    def _wait_until_ready(self, supervisors: list[Supervisor]) -> None:
        deadline = time.monotonic() + self._options.start_timeout
        waiting = supervisors
        while waiting := [each for each in waiting if not each.ready()]:
            optional = all(not each.program.required for each in waiting)
            if optional and all(each.given_up for each in waiting):
                return
            if time.monotonic() > deadline:
                if optional:
                    return
                raise ComputerUseUnavailable(_complaint(waiting))
            if self._stopped.wait(POLL):
                raise ComputerUseUnavailable("the desktop was stopped while it started")

    def _set_environ(self) -> None:
        """Let what is started from now on, commands too, find the desktop."""
        wanted = {"DISPLAY": self._place.display}
        if self._place.own_bus and "dbus" in self._supervisors:
            wanted["DBUS_SESSION_BUS_ADDRESS"] = self._place.bus
        with changing_environment() as environ:
            for name, value in wanted.items():
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
        f"{each.program.name}: {each.failure or 'not ready in time'}"
        for each in waiting
        if each.program.required
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

"""The backend ``local``: processes of this machine."""

from __future__ import annotations

import shlex

from toolbox.activity import Work
from toolbox.handover.parcel import Parcel
from toolbox.lifecycle import Context
from toolbox.plugins.capabilities import Figure
from toolbox_process.commands.local import LocalCommands
from toolbox_process.definition import DeclaredDefinition
from toolbox_process.definition import Definition
from toolbox_process.definition import LogLimits
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import WORK
from toolbox_process.engine.job import Job
from toolbox_process.handover.backend import Handover
from toolbox_process.handover.backend import read_state
from toolbox_process.handover.backend import unpack_directories
from toolbox_process.handover.models import FORMAT
from toolbox_process.interpreters.registry import LocalInterpreters
from toolbox_process.jobs.registry import LocalJobs
from toolbox_process.launchers.loading import find_launcher
from toolbox_process.screens.registry import LocalScreens
from toolbox_process.services.registry import LocalServices
from toolbox_process.sessions.protocol import ENTRYPOINT
from toolbox_process.sessions.registry import LocalSessions
from toolbox_process.settings import LocalSettings
from toolbox_process.terminals.registry import LocalTerminals


class LocalProcess:
    """See :class:`toolbox_process.backend.ProcessBackend`."""

    handover_format = FORMAT

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self.max_result: int = context.group_settings.max_result
        self._engine = Engine(settings, context, find_launcher(settings)(settings))
        state = read_state(context.parcel, "process")
        if state is not None and context.parcel is not None:
            unpack_directories(self._engine, state, context.parcel)
        self.commands = LocalCommands(self._engine, self.max_result)
        services: dict[str, DeclaredDefinition] = context.group_settings.services
        declared = {name: each.definition() for name, each in services.items()}
        declared |= _entrypoint(settings)
        expected = [service.name for service in state.services] if state is not None else []
        self.services = LocalServices(self._engine, declared, expected)
        self.sessions = LocalSessions(self._engine, self._find_entrypoint)
        self.terminals = LocalTerminals(self._engine)
        self.interpreters = LocalInterpreters(self._engine)
        self.screens = LocalScreens(self._engine, self.terminals)
        self.jobs = LocalJobs(self._engine, self.sessions)
        self._handover = Handover(
            self._engine, self.services, self.sessions, self.terminals, self.jobs
        )
        if state is not None and context.parcel is not None:
            self._handover.unpack(state, context.parcel)

    @staticmethod
    def check(settings: LocalSettings) -> None:
        """Raise SettingsError if the launcher can't work here."""
        find_launcher(settings)

    def figures(self) -> list[Figure]:
        """Count what runs and what is kept. A :class:`toolbox.plugins.capabilities.HasFigures`."""
        jobs = self._engine.jobs()
        running = sum(not job.done.is_set() for job in jobs)
        finished, sessions = len(jobs) - running, len(self.sessions.list())
        terminals = len(self.terminals.list())
        states = self.services.states()
        return [
            *(
                Figure(name="services", value=count, help="Services.", labels={"state": state})
                for state, count in states.items()
            ),
            Figure(name="jobs_running", value=running, help="Jobs that run."),
            Figure(name="jobs_finished", value=finished, help="Jobs kept after their end."),
            Figure(name="sessions", value=sessions, help="Sessions that exist."),
            Figure(name="terminals", value=terminals, help="Terminals that are kept."),
        ]

    def activity(self) -> Work:
        """Count what runs for clients. A :class:`toolbox.plugins.capabilities.HasActivity`."""
        running = sum((job.kind in WORK and not job.done.is_set()) for job in self._engine.jobs())
        running += self.terminals.busy() + self.interpreters.busy() + self.services.busy()
        return Work(running=running, last_end=self._engine.last_end)

    def _find_entrypoint(self) -> Job | None:
        service = self.services.find(ENTRYPOINT)
        return service.job if service else None

    def hand_over(self, parcel: Parcel) -> bytes:
        """Let go of what runs. A :class:`toolbox.plugins.capabilities.HandsOver`."""
        return self._handover.pack(parcel)

    def close(self) -> None:
        """End everything that runs."""
        self.services.close()
        self._engine.close()


def _entrypoint(settings: LocalSettings) -> dict[str, Definition]:
    """Return the service that the program after ``--`` of ``toolbox serve`` is."""
    if not settings.entrypoint:
        return {}
    # By the shell: a program that isn't there has an exit code, and a line in the log.
    return {
        ENTRYPOINT: Definition(
            command=shlex.join(settings.entrypoint),
            restart="never",
            logs=LogLimits(limit=settings.output_limit),
            keepalive=True,
        )
    }

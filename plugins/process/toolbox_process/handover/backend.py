"""The whole of the backend ``local``: what goes on in an upgrade, and what ends, and why."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from typing import TypeVar

import msgspec

from toolbox.handover.parcel import Parcel
from toolbox.sockets.loop import Loop
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.state import StateDirectory
from toolbox_process.handover.children import can_hand_over
from toolbox_process.handover.jobs import pack_job
from toolbox_process.handover.jobs import unpack_job
from toolbox_process.handover.jobs import watch
from toolbox_process.handover.journals import fill_directory
from toolbox_process.handover.journals import pack_directory
from toolbox_process.handover.models import JobState
from toolbox_process.handover.models import ProcessState
from toolbox_process.handover.services import is_run_of
from toolbox_process.handover.services import pack_service
from toolbox_process.handover.services import unpack_service
from toolbox_process.handover.sessions import pack_session
from toolbox_process.handover.sessions import unpack_session
from toolbox_process.handover.terminals import pack_terminal
from toolbox_process.handover.terminals import unpack_terminal
from toolbox_process.jobs.registry import LocalJobs
from toolbox_process.services.registry import LocalServices
from toolbox_process.services.service import LocalService
from toolbox_process.sessions.registry import LocalSessions
from toolbox_process.terminals.registry import LocalTerminals
from toolbox_process.terminals.terminal import LocalTerminal

BEGINNING = 5.0
"""Seconds for what is just being started, such as another shell of a session."""

LOOK = 0.01

INTERPRETER = "an interpreter's state can be handed over, but not the request that waits for it"
SERVICE = "a service that is just being started or stopped is treated as after a restart"
LAUNCHER = "programs of a launcher of your own are known to that alone"

ENDING = {Kind.INTERPRETER: INTERPRETER, Kind.SERVICE: SERVICE}

T = TypeVar("T")

log = logging.getLogger("toolbox")


def on_loop(loop: Loop, function: Callable[[], T]) -> T:
    """Return the result of ``function()``, called on the loop. Raises what that raises."""
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    loop.call_soon(call)
    done.wait()
    if errors:
        raise errors[0]
    return results[0]


class Handover:
    """The parts of the backend that hand over, or take over."""

    def __init__(
        self,
        engine: Engine,
        services: LocalServices,
        sessions: LocalSessions,
        terminals: LocalTerminals,
        jobs: LocalJobs,
    ) -> None:
        self._engine = engine
        self._services = services
        self._sessions = sessions
        self._terminals = terminals
        self._jobs = jobs

    def pack(self, parcel: Parcel) -> bytes:
        """Let go of everything that can go on, end the rest, and return the state."""
        with self._services.held(BEGINNING) as services:
            return msgspec.msgpack.encode(self._pack_with(services, parcel))

    def _pack_with(self, services: Sequence[LocalService], parcel: Parcel) -> ProcessState:
        engine = self._engine
        engine.shutter.close(BEGINNING)
        deadline = time.monotonic() + BEGINNING
        while self._sessions.are_replacing() and time.monotonic() < deadline:
            time.sleep(LOOK)
        # Ended before anything is packed: their output and their ends still belong to this worker.
        if not can_hand_over(engine.launcher):
            services = ()
        lost = self._lost(services, parcel)
        running = [job for job in lost if not job.exited]
        children = [job.child for job in running], [job.child for job in lost if job.exited]
        engine.surely(lambda: engine.launcher.end_all(*children, engine.settings.grace))
        # In one call on the loop, so that no byte is read and no end is seen in between.
        return on_loop(engine.loop, lambda: self._pack(services, lost, parcel))

    def _lost(self, services: Sequence[LocalService], parcel: Parcel) -> list[ProcessJob]:
        """Return the jobs that end, and note why."""
        lost = []
        local = can_hand_over(self._engine.launcher)
        for job in self._engine.jobs():
            ends = job.kind in ENDING and not any(is_run_of(job, each) for each in services)
            if isinstance(job, ProcessJob) and (ends or not local):
                lost.append(job)
                if not job.done.is_set():
                    why = ENDING.get(job.kind, LAUNCHER)
                    parcel.ended.append({"kind": job.kind.value, "id": job.id, "reason": why})
        return lost

    def _pack(
        self, services: Sequence[LocalService], lost: list[ProcessJob], parcel: Parcel
    ) -> ProcessState:
        engine = self._engine
        ages = engine.ages()
        sessions = self._sessions.alive()
        of_sessions: set[Job] = set()
        for session in sessions:
            of_sessions |= {session.runner.shell.job, *session.commands()}
        all_jobs = [job for job in engine.jobs() if job not in lost]
        runs = [job for job in all_jobs if job.kind is Kind.SERVICE]
        terminals = {job for job in all_jobs if isinstance(job, LocalTerminal)}
        terminals |= set(self._terminals.all())
        apart = {*of_sessions, *terminals, *runs}
        others = [job for job in all_jobs if job not in apart]
        parcel.counts = {
            "jobs": sum(not job.done.is_set() for job in others),
            "services": sum(service.running for service in services),
            "sessions": len(sessions),
            "terminals": sum(not job.done.is_set() for job in terminals),
            "finished": len(ages),
        }
        left, number = engine.journals.standing()
        return ProcessState(
            directories=[pack_directory(each, parcel) for each in _directories(engine)],
            journals_left=left,
            journals_number=number,
            sessions=[pack_session(session, ages, parcel) for session in sessions],
            terminals=[pack_terminal(each, ages, parcel) for each in terminals],
            services=[pack_service(service, runs, ages, parcel) for service in services],
            jobs=[pack_job(job, ages, parcel) for job in others],
            requests=self._jobs.export(),
        )

    # Taking over

    def unpack(self, state: ProcessState, parcel: Parcel) -> None:
        """Let everything go on."""
        on_loop(self._engine.loop, lambda: self._unpack(state, parcel))
        self._jobs.restore(state.requests)

    def _unpack(self, state: ProcessState, parcel: Parcel) -> None:
        engine = self._engine
        # The oldest end first, as the history expects them.
        for each in sorted(state.jobs, key=lambda each: -(each.age or 0)):
            with _alone(each.kind, each.id, [each]):
                job = unpack_job(engine, each, parcel)
                if isinstance(job, ProcessJob):
                    watch(engine, job, each)
        for service in state.services:
            with _alone("service", service.name, service.runs[-1:]):
                unpack_service(engine, self._services, service, parcel)
        self._services.start_missing()
        for terminal in state.terminals:
            with _alone(terminal.job.kind, terminal.name, [terminal.job]):
                unpack_terminal(engine, self._terminals, terminal, parcel)
        for session in state.sessions:
            with _alone(session.shell.job.kind, session.id, [session.shell.job]):
                self._sessions.restore(unpack_session(engine, session, parcel))


@contextmanager
def _alone(kind: str, name: str, jobs: list[JobState]) -> Iterator[None]:
    """Let one thing fail alone, and end its programs: nobody would read their output."""
    try:
        yield
    except Exception:
        log.exception("reload: %s %s could not be taken over", kind, name)
        for child in [job.child for job in jobs if job.child and job.child.status is None]:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child.pid, signal.SIGKILL)


def _directories(engine: Engine) -> list[StateDirectory]:
    return [engine.state, engine.pipes, engine.journals.directory]


def unpack_directories(engine: Engine, state: ProcessState, parcel: Parcel) -> None:
    """Go on with the directories, before anything looks for some."""
    for directory, each in zip(_directories(engine), state.directories, strict=True):
        fill_directory(directory, each, parcel)
    engine.journals.resume(state.journals_left, state.journals_number)


def read_state(parcel: Parcel | None, group: str) -> ProcessState | None:
    """Return what was handed over to this version, None if nothing was."""
    if parcel is None or group not in parcel.contents:
        return None
    return msgspec.msgpack.decode(parcel.contents[group], type=ProcessState)

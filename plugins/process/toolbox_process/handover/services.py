"""Services, with their runs. Everything here runs on the loop."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.spool import Totals
from toolbox_process.handover.jobs import fill_job
from toolbox_process.handover.jobs import pack_job
from toolbox_process.handover.jobs import watch
from toolbox_process.handover.models import JobState
from toolbox_process.handover.models import ServiceState
from toolbox_process.handover.spools import fill_spool
from toolbox_process.handover.spools import pack_spool
from toolbox_process.services.registry import LocalServices
from toolbox_process.services.restarting import End
from toolbox_process.services.run import Run
from toolbox_process.services.section import Section
from toolbox_process.services.service import LocalService
from toolbox_process.services.standing import Standing


def is_run_of(job: Job, service: LocalService) -> bool:
    """Report whether a job is a run of a service."""
    return isinstance(job.spool, Section) and job.spool.whole is service.spool


def pack_service(
    service: LocalService, jobs: list[Job], ages: dict[str, float], parcel: Parcel
) -> ServiceState:
    """Let go of a service, and return its state. Its runs are among the ``jobs``."""
    standing = service.let_go()
    last = standing.last
    runs = [job for job in jobs if is_run_of(job, service) and (not last or job is not last.job)]
    runs += [last.job] if last else []
    state = ServiceState(
        name=service.id,
        definition=service.definition,
        declared=service.declared,
        state=standing.state,
        since=standing.since.timestamp(),
        end=standing.end,
        spool=pack_spool(service.spool, parcel),
        runs=[pack_job(job, ages, parcel) for job in runs],
        running=standing.running,
    )
    state.restarts, state.failures = standing.restarts, standing.failures
    state.pause = standing.pause
    if last is not None:
        state.seconds, state.late = last.seconds, last.late
    return state


def unpack_service(
    engine: Engine, services: LocalServices, state: ServiceState, parcel: Parcel
) -> None:
    """Let a service go on."""
    service = services.new(state.name, state.definition, state.declared)
    fill_spool(service.spool, state.spool, parcel)
    runs = [_unpack_run(engine, service.spool, each, parcel) for each in state.runs]
    last = None
    if runs:
        last = Run(engine, services.matcher, state.definition, *runs[-1], state.seconds)
        last.late = state.late
    service.resume(_standing(state, last))
    # After the service listens to it.
    if last is not None:
        watch(engine, last.job, state.runs[-1])
    services.restore(service)


def _standing(state: ServiceState, last: Run | None) -> Standing:
    since, end = datetime.fromtimestamp(state.since, UTC), End(*state.end)
    failures, pause, running = state.failures, state.pause, state.running
    return Standing(state.state, since, end, state.restarts, failures, pause, last, running)


def _unpack_run(
    engine: Engine, whole: Spool, state: JobState, parcel: Parcel
) -> tuple[ProcessJob, Section]:
    section = Section(whole, *(Totals(*each) for each in state.spool.section))
    job = ProcessJob(engine.outfit(Kind.SERVICE, state.label, state.id, section))
    fill_job(engine, job, state, parcel)
    return job, section

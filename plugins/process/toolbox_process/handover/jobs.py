"""Jobs: those that run, and those that have ended. Everything here runs on the loop."""

from __future__ import annotations

import termios
from datetime import UTC
from datetime import datetime

from toolbox.handover.parcel import Parcel
from toolbox.linux.clock import awake
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import JobStanding
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.launcher import Counts
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.engine.stdin_writer import WriterStanding
from toolbox_process.engine.views.making import read_terminal
from toolbox_process.handover.children import pack_child
from toolbox_process.handover.children import unpack_child
from toolbox_process.handover.models import JobState
from toolbox_process.handover.spools import fill_reader
from toolbox_process.handover.spools import fill_spool
from toolbox_process.handover.spools import pack_reader
from toolbox_process.handover.spools import pack_spool
from toolbox_process.handover.spools import pack_writer
from toolbox_process.handover.spools import unpack_filed_spool


def pack_job(job: Job, ages: dict[str, float], parcel: Parcel) -> JobState:
    """Let go of a job, and return its state. ``ages`` are those of the jobs in the history."""
    reader = pack_reader(job.reader, parcel)
    state = JobState(
        id=job.id,
        kind=job.kind.value,
        label=job.label,
        started=job.started.timestamp(),
        spool=pack_spool(job.spool, parcel),
        reader=reader,
        stdin=pack_writer(job.stdin, parcel) if job.stdin is not None else None,
        left=None if job.due is None else max(0.0, job.due - awake()),
        ended=job.ended.timestamp() if job.ended else None,
        exit_code=job.exit_code,
        reason=job.reason.value if job.reason else None,
        age=ages.get(job.id),
    )
    standing = job.let_go() if isinstance(job, ProcessJob) else None
    if isinstance(job, ProcessJob) and standing is not None:
        state.child = pack_child(standing.child, parcel)
        state.counts = (standing.counts.oom, standing.counts.pids)
        state.ending = standing.ending.value if standing.ending else None
        state.limits = job.limits
    return state


def unpack_job(engine: Engine, state: JobState, parcel: Parcel) -> Job:
    """Return a job of no noun, which goes on if it hasn't ended."""
    file = state.spool.file
    spool = unpack_filed_spool(engine, file, parcel) if file else None
    parts = engine.outfit(Kind(state.kind), state.label, state.id, spool)
    job = Job(parts) if state.child is None else ProcessJob(parts)
    fill_job(engine, job, state, parcel)
    if spool is not None:
        job.when_ended(spool.close_file)
    if isinstance(job, ProcessJob) and not job.done.is_set() and job.child.terminal >= 0:
        size = TerminalSize(*termios.tcgetwinsize(job.child.terminal))
        job.view = read_terminal(engine, job, job.child.terminal, size, "")
    return job


def fill_job(engine: Engine, job: Job, state: JobState, parcel: Parcel) -> None:
    """Give a new job the state of the one that was handed over, and list it."""
    fill_spool(job.spool, state.spool, parcel)
    job.started = datetime.fromtimestamp(state.started, UTC)
    if isinstance(job, ProcessJob) and state.child is not None:
        child = unpack_child(engine.launcher, state.child, parcel)
        ending = Reason(state.ending) if state.ending else None
        exited = state.child.status is not None
        job.resume(JobStanding(child, Counts(*state.counts), ending), exited)
        job.limits = state.limits
    _fill_stdin(engine, job, state, parcel)
    fill_reader(job.reader, state.reader, parcel)
    if state.ended is not None and state.exit_code is not None:
        job.ended = datetime.fromtimestamp(state.ended, UTC)
        job.exit_code = state.exit_code
        job.reason = Reason(state.reason or Reason.EXITED)
        job.done.set()
        if state.age is not None:
            engine.restore(job, state.age)
        return
    if isinstance(job, ProcessJob) and state.child is None:
        return  # A terminal that waits for its first client: it is listed once it starts.
    engine.register(job)
    if state.left is not None and isinstance(job, ProcessJob):
        engine.limit(job, state.left)


def _fill_stdin(engine: Engine, job: Job, state: JobState, parcel: Parcel) -> None:
    stdin = state.stdin
    if stdin is None or stdin.closed:
        return
    if stdin.fd >= 0:
        writer = StdinWriter(engine.loop, parcel.take(stdin.fd))
    elif isinstance(job, ProcessJob) and job.child.terminal >= 0:
        writer = StdinWriter(engine.loop, job.child.terminal, own=False)
    else:
        return
    writer.resume(WriterStanding(-1, stdin.queue, stdin.accepted, stdin.ending, closed=False))
    job.stdin = writer


def watch(engine: Engine, job: ProcessJob, state: JobState) -> None:
    """Wait for the job's end, or go on with what follows it. Once all its readers are there."""
    if not job.done.is_set() and state.child is not None and (ending := job.go_on()):
        engine.end_soon(job, ending)

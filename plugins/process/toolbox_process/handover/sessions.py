"""Sessions, with their shells and commands. Everything here runs on the loop."""

from __future__ import annotations

from pathlib import Path

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.journals.command import CommandStanding
from toolbox_process.engine.journals.command import Journal
from toolbox_process.engine.journals.session import SessionJournal
from toolbox_process.engine.launcher import Counts
from toolbox_process.handover.children import pack_child
from toolbox_process.handover.children import unpack_child
from toolbox_process.handover.jobs import fill_job
from toolbox_process.handover.jobs import pack_job
from toolbox_process.handover.jobs import watch
from toolbox_process.handover.journals import pack_journal
from toolbox_process.handover.journals import unpack_journal
from toolbox_process.handover.models import CommandState
from toolbox_process.handover.models import SessionState
from toolbox_process.handover.models import ShellState
from toolbox_process.launchers.child import Snapshot
from toolbox_process.sessions.command import Command
from toolbox_process.sessions.command import Task
from toolbox_process.sessions.runner import CommandRunner
from toolbox_process.sessions.script import Script
from toolbox_process.sessions.session import Session
from toolbox_process.sessions.shell import Carried
from toolbox_process.sessions.shell import Shell
from toolbox_process.sessions.shell import ShellStanding
from toolbox_process.sessions.shell import new_spool

Ages = dict[str, float]


def pack_session(session: Session, ages: Ages, parcel: Parcel) -> SessionState:
    """Let go of a session, and return its state."""
    runner = session.runner
    going = runner.let_go()
    return SessionState(
        id=session.id,
        arguments=list(runner.arguments),
        journal=pack_journal(session.journal, parcel),
        shell=_pack_shell(runner.shell, ages, parcel),
        commands=[_pack_command(command, ages, parcel) for command in session.commands()],
        token=going.token,
        number=going.number,
        scripts=going.scripts,
        ended=going.ended,
        deleted=going.deleted,
        queue=list(going.queue),
        current=going.current,
        replaced=[state for each in runner.replaced if (state := pack_child(each, parcel))],
    )


def _pack_shell(shell: Shell, ages: Ages, parcel: Parcel) -> ShellState:
    complaint, directory, offset, line = shell.standing()
    job = pack_job(shell.job, ages, parcel)
    return ShellState(job=job, complaint=complaint, directory=directory, offset=offset, line=line)


def _pack_command(command: Command, ages: Ages, parcel: Parcel) -> CommandState:
    snapshot = command.snapshot
    code, reason = command.verdict or (0, Reason.EXITED)
    return CommandState(
        job=pack_job(command, ages, parcel),
        wait=command.wait,
        echo=command.echo,
        cwd=command.task.cwd,
        envs=dict(command.task.envs),
        journal=command.journal.standing(),
        early=command.early,
        running=command.running,
        completing=(code, reason.value) if command.verdict else None,
        cancelled=command.cancelled,
        spares_session=command.spares_session,
        snapshot=(sorted(snapshot.children), snapshot.since)
        if isinstance(snapshot, Snapshot)
        else None,
        counts=(command.counts.oom, command.counts.pids),
        script=[str(path) for path in command.script] if command.script else None,
    )


def unpack_session(engine: Engine, state: SessionState, parcel: Parcel) -> Session:
    """Return a session, which goes on."""
    journal = unpack_journal(engine.journals, state.id, state.journal, parcel)
    shell = _unpack_shell(engine, state.shell, parcel)
    flags = state.ended, state.deleted
    carried = Carried(
        state.token, state.scripts, shell, state.number, *flags, state.queue, state.current
    )
    runner = CommandRunner(engine, state.id, list(state.arguments), None, carried)
    runner.replaced = [unpack_child(engine.launcher, each, parcel) for each in state.replaced]
    session = Session(engine, state.id, journal, runner)
    commands = [_unpack_command(engine, journal, each, parcel) for each in state.commands]
    session.resume(carried, commands)
    watch(engine, shell.job, state.shell.job)
    runner.go_on()
    return session


def _unpack_shell(engine: Engine, state: ShellState, parcel: Parcel) -> Shell:
    parts = engine.outfit(Kind.SHELL, state.job.label, state.job.id, new_spool(engine))
    job = ProcessJob(parts)
    fill_job(engine, job, state.job, parcel)
    standing = ShellStanding(state.complaint, state.directory, state.offset, state.line)
    return Shell.resume(job, standing)


def _unpack_command(
    engine: Engine, session: SessionJournal, state: CommandState, parcel: Parcel
) -> Command:
    journal = Journal(session, CommandStanding(*state.journal))
    task = Task(state.job.label, state.wait, state.echo, state.cwd, dict(state.envs))
    command = Command(engine, session, task, state.job.id, journal)
    command.early = list(state.early)
    command.running = state.running
    command.cancelled, command.spares_session = state.cancelled, state.spares_session
    command.counts = Counts(*state.counts)
    if state.completing is not None:
        code, reason = state.completing
        command.verdict = code, Reason(reason)
    if state.snapshot is not None:
        children, since = state.snapshot
        command.snapshot = Snapshot(frozenset(children), since)
    if state.script is not None:
        command.script = Script(*map(Path, state.script))
    fill_job(engine, command, state.job, parcel)
    return command

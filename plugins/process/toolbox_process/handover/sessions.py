"""Sessions, with their shells and commands. Everything here runs on the loop."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from toolbox.handover.parcel import Parcel
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.job import Reason
from toolbox_process.engine.journal import Journal
from toolbox_process.engine.journal import SessionJournal
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
from toolbox_process.sessions.shell import new_spool

Ages = dict[str, float]


def pack_session(session: Session, ages: Ages, parcel: Parcel) -> SessionState:
    """Let go of a session, and return its state."""
    runner = session.runner
    shell = runner.shell
    return SessionState(
        id=session.id,
        arguments=list(runner.arguments),
        journal=pack_journal(session._journal, parcel),
        shell=ShellState(
            job=pack_job(shell.job, ages, parcel),
            complaint=bytes(shell.complaint),
            directory=shell._directory,
            offset=shell._offset,
            line=shell._line,
        ),
        commands=[_pack_command(command, ages, parcel) for command in session.commands()],
        token=runner._token,
        number=runner._number,
        scripts=runner._scripts.name,
        ended=runner._ended,
        deleted=runner._deleted,
        queue=[command.id for command in runner._queue],
        current=runner._current.id if runner._current else None,
        replaced=[state for each in runner.replaced if (state := pack_child(each, parcel))],
    )


def _pack_command(command: Command, ages: Ages, parcel: Parcel) -> CommandState:
    journal, snapshot = command._journal, command.snapshot
    code, reason = command.verdict or (0, Reason.EXITED)
    return CommandState(
        job=pack_job(command, ages, parcel),
        wait=command.wait,
        echo=command.echo,
        cwd=command.task.cwd,
        envs=dict(command.task.envs),
        journal=(journal._number, journal._size, journal._cut, journal._cut_noted),
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
    carried = Carried(state.token, state.scripts, shell)
    runner = CommandRunner(engine, state.id, list(state.arguments), None, carried)
    runner.replaced = [unpack_child(engine.launcher, each, parcel) for each in state.replaced]
    runner._number = state.number
    runner._ended, runner._deleted = state.ended, state.deleted
    session = Session(engine, state.id, journal, runner)
    for each in state.commands:
        command = _unpack_command(engine, journal, each, parcel)
        session._commands[command.id] = command
    # A command of the queue may have been forgotten by its session, but then it has ended.
    known = session._commands
    runner._queue = deque(known[each] for each in state.queue if each in known)
    runner._current = known.get(state.current or "")
    for each in state.commands:
        if each.completing is not None and each.job.ended is None:
            code, reason = each.completing
            runner._complete(known[each.job.id], code, Reason(reason))
    # After the commands: it reports their ends.
    runner._listen(shell)
    watch(engine, shell.job, state.shell.job)
    runner._start_next()
    return session


def _unpack_shell(engine: Engine, state: ShellState, parcel: Parcel) -> Shell:
    parts = engine.outfit(Kind.SHELL, state.job.label, state.job.id, new_spool(engine))
    job = ProcessJob(parts)
    fill_job(engine, job, state.job, parcel)
    shell = Shell(job, state.directory)
    shell.complaint += state.complaint
    shell._offset, shell._line = state.offset, state.line
    return shell


def _unpack_command(
    engine: Engine, session: SessionJournal, state: CommandState, parcel: Parcel
) -> Command:
    number, size, cut, noted = state.journal
    journal = Journal(session, number)
    journal._size, journal._cut, journal._cut_noted = size, cut, noted
    task = Task(state.job.label, state.wait, state.echo, state.cwd, dict(state.envs))
    command = Command(engine, session, task, state.job.id, journal)
    command.early = list(state.early)
    command.running = state.running
    command.cancelled, command.spares_session = state.cancelled, state.spares_session
    command.counts = Counts(*state.counts)
    if state.snapshot is not None:
        children, since = state.snapshot
        command.snapshot = Snapshot(frozenset(children), since)
    if state.script is not None:
        command.script = Script(*map(Path, state.script))
    fill_job(engine, command, state.job, parcel)
    return command

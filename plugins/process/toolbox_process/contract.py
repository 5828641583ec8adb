"""The behavior that every backend of the group gives: subclass it and give it a backend.

::

    class TestMine(ProcessContract):
        @pytest.fixture
        def backend(self, make_backend):
            return make_backend(MyProcess, MySettings(), group_settings=ProcessSettings())

``make_backend`` is a fixture of :mod:`toolbox.testing`. Only the Protocols of
:mod:`toolbox_process.backend` are used, so it says nothing about HTTP.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from toolbox.errors import BadRequest
from toolbox_process.backend import ProcessBackend
from toolbox_process.commands.models import CodeRunRequest
from toolbox_process.commands.models import ExecuteRequest
from toolbox_process.commands.protocol import Finished
from toolbox_process.definition import Definition
from toolbox_process.definition import Ready
from toolbox_process.engine.output import collect
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import ExecutionTimeout
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import ServiceNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.errors import SpawnFailed
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.sessions.models import SessionExecuteRequest
from toolbox_process.sessions.protocol import SessionCommand
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import PtySize

LIMIT = 1 << 20


def _result(run: AbstractContextManager[Finished]) -> tuple[int | None, str]:
    """Return the exit code and the output of a command."""
    with run as finished:
        return finished.job.exit_code, collect(finished.job.spool, None, LIMIT).text


class ProcessContract:
    """Tests of a backend, which the fixture ``backend`` gives and closes."""

    def test_execute(self, backend: ProcessBackend) -> None:
        """A command's status and output, its time limit, and what can't be run."""
        commands = backend.commands
        request = ExecuteRequest(command="echo a; echo b >&2; exit 3")
        assert _result(commands.execute(request)) == (3, "a\nb\n")
        with commands.execute(request, separate=True) as finished:
            texts = [commands.text(finished.job, stream).text for stream in (OUT, ERR, None)]
        assert texts == ["a\n", "b\n", "a\nb\n"]
        with pytest.raises(SpawnFailed):
            _result(commands.execute(ExecuteRequest(command="true", cwd="/none")))
        with pytest.raises(ExecutionTimeout):
            _result(commands.execute(ExecuteRequest(command="sleep 1000", timeout=1)))
        for bad in (ExecuteRequest(command=" "), ExecuteRequest(command="x", envs={"=": ""})):
            with pytest.raises(BadRequest):
                _result(commands.execute(bad))

    def test_run_code(self, backend: ProcessBackend) -> None:
        """A program's arguments arrive as they are."""
        request = CodeRunRequest(
            code="import sys; print(sys.argv[1:])", language="python", argv=["a b", "$x"]
        )
        assert _result(backend.commands.run_code(request)) == (0, "['a b', '$x']\n")
        with pytest.raises(BadRequest):
            _result(backend.commands.run_code(CodeRunRequest(code="x", language="none")))

    def test_sessions(self, backend: ProcessBackend) -> None:
        """State is kept, streams are apart, the shell's end is noticed."""
        sessions = backend.sessions
        sessions.create("contract", at_home=False)
        with pytest.raises(AlreadyExists):
            sessions.create("contract", at_home=False)

        def run(command: str, wait: bool = True) -> SessionCommand:
            request = SessionExecuteRequest(
                command=command, run_async=not wait, suppress_input_echo=not wait
            )
            return sessions.execute("contract", request)

        run("X=1")
        command = run("echo $X; echo e >&2")
        assert collect(command.spool, OUT, LIMIT).text == "1\n"
        assert collect(command.spool, ERR, LIMIT).text == "e\n"
        reading = run("read x; echo got $x", wait=False)
        sessions.send_input("contract", reading.id, "line")
        assert reading.done.wait(30)
        assert collect(reading.spool, None, LIMIT).text == "got line\n"
        with pytest.raises(CommandCompleted):
            sessions.send_input("contract", reading.id, "line")
        assert run("exit 4").exit_code == 4
        with pytest.raises(SessionEnded):
            run("true")
        sessions.delete("contract")
        with pytest.raises(ProcessNotFound):
            sessions.get("contract")

    def test_terminals(self, backend: ProcessBackend) -> None:
        """One is created, resized and written to, and no longer listed after its end."""
        terminal = backend.terminals.create(CreatePtyRequest(id="contract", envs={"PS1": ""}))
        backend.terminals.resize("contract", PtySize(cols=90, rows=20))
        terminal.write(b"stty size; exit 5\n")
        assert terminal.done.wait(30)
        assert terminal.exit_code == 5
        assert "20 90\r\n" in collect(terminal.spool, None, LIMIT).text
        with pytest.raises(SessionEnded):
            backend.terminals.resize("contract", PtySize(cols=90, rows=20))

    def test_jobs(self, backend: ProcessBackend) -> None:
        """A job is run once for each id, waited for, ended and found by id."""
        request = StartJobRequest(command="echo x; sleep 1000", id="contract-job")
        job, _ = backend.jobs.start(request)
        assert backend.jobs.start(request)[0] is job
        assert not backend.jobs.wait(job.id, 0.1).done.is_set()
        assert backend.jobs.end(job.id).done.is_set()
        assert backend.jobs.get(job.id).reason == "cancelled"
        with pytest.raises(ProcessNotFound):
            backend.jobs.get("none")

    def test_services(self, backend: ProcessBackend) -> None:
        """One is started, found ready by its output, stopped with its program, and forgotten."""
        definition = Definition(command="echo up; sleep 1000", ready=Ready(log="^up$"))
        service, is_new = backend.services.put("contract", definition)
        assert is_new
        assert backend.services.put("contract", definition) == (service, False)
        assert backend.services.wait("contract", True, 30).info().state == "ready"
        assert [each.info().name for each in backend.services.list()] == ["contract"]
        assert backend.services.stop("contract").info().state == "stopped"
        assert backend.services.start("contract").info().state in ("starting", "ready")
        assert collect(service.spool, None, LIMIT).text.startswith("up\n")
        backend.services.delete("contract")
        assert service.done.is_set()
        with pytest.raises(ServiceNotFound):
            backend.services.get("contract")

"""The behavior that every launcher gives: subclass it and give it a backend that uses yours.

::

    class TestMine(LauncherContract):
        @pytest.fixture
        def backend(self, make_backend):
            settings = LocalSettings(launcher="my_package:MyLauncher")
            return make_backend(LocalProcess, settings, group_settings=ProcessSettings())

The fixture ``shared`` is a directory that tests and programs see. A lock on a file in there
shows whether a program lives, as its pid may mean something in its namespace only.
"""

from __future__ import annotations

import fcntl
import shlex
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE
from toolbox_process.backend import ProcessBackend
from toolbox_process.commands.models import ExecuteRequest
from toolbox_process.contract import LIMIT
from toolbox_process.contract import ProcessContract
from toolbox_process.engine.job import Job
from toolbox_process.engine.output import Output
from toolbox_process.engine.output import collect
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.errors import SpawnFailed
from toolbox_process.interpreters.models import CodeRequest
from toolbox_process.interpreters.run import Run
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.sessions.models import SessionExecuteRequest
from toolbox_process.sessions.protocol import SessionCommand
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import PtySize
from toolbox_process.testing import eventually


def stay(file: Path) -> str:
    """Return a command that writes to ``file`` and stays, with a lock on it."""
    inner = f"echo here > {shlex.quote(str(file))}; exec sleep 1000"
    return f"flock {shlex.quote(str(file))} -c {shlex.quote(inner)}"


def is_running(file: Path) -> bool:
    """Report whether what was started by :func:`stay` lives."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def has_started(file: Path) -> bool:
    """Report whether :func:`stay` has come so far."""
    return file.exists() and file.stat().st_size > 0


def run(backend: ProcessBackend, command: str, **options: object) -> Job:
    """Run a command as a job to its end."""
    request = StartJobRequest(command=command, **options)  # type: ignore[arg-type]
    job, _ = backend.jobs.start(request)
    assert job.done.wait(DEADLINE), collect(job.spool, None, LIMIT).text
    return job


def text(job: Output, stream: int | None = OUT) -> str:
    """Return the output of a job."""
    return collect(job.spool, stream, LIMIT).text


class Client:
    """The client of an interpreter's run, which waits for its outcome."""

    def __init__(self) -> None:
        self.offset = 0
        self.run: Run | None = None
        self.ended = threading.Event()

    def pump(self) -> None:
        if self.run is not None and self.run.outcome is not None:
            self.ended.set()


class LauncherContract(ProcessContract):
    """Tests of a backend whose launcher is the one to test."""

    @pytest.fixture
    def shared(self) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(prefix="toolbox-launcher-"))
        directory.chmod(0o777)
        yield directory
        shutil.rmtree(directory)

    @pytest.mark.parametrize(
        ("command", "end"),
        [
            ("exit 3", (3, "exited")),
            ("kill -9 $$", (137, "signal")),
            ("kill -TERM $$", (143, "signal")),
            ("trap 'exit 7' TERM; kill -TERM $$", (7, "exited")),
        ],
    )
    def test_how_a_program_ends(
        self, backend: ProcessBackend, command: str, end: tuple[int, str]
    ) -> None:
        job = run(backend, command)
        assert (job.exit_code, job.reason) == end

    def test_streams(self, backend: ProcessBackend) -> None:
        """They are apart, may be opened by name again, and carry what is sent."""
        job = run(backend, "echo out; echo err >&2; echo again > /dev/stdout; cat")
        assert (text(job), text(job, ERR)) == ("out\nagain\n", "err\n")
        request = StartJobRequest(command="cat; echo end", stdin=True)
        job, _ = backend.jobs.start(request)
        backend.jobs.write(job.id, b"sent\0\n", eof=True)
        assert job.done.wait(DEADLINE)
        assert text(job) == "sent\0\nend\n"

    def test_only_its_streams_are_open(self, backend: ProcessBackend) -> None:
        code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
        job = run(backend, f"exec python3 -c {shlex.quote(code)}")
        assert text(job) == "['0', '1', '2']\n"

    def test_a_long_command(self, backend: ProcessBackend) -> None:
        """It doesn't fit into an argument."""
        with backend.commands.execute(
            ExecuteRequest(command=f": {'x' * 200_000}\necho done")
        ) as finished:
            assert text(finished.job, None) == "done\n"

    def test_directory_and_variables(self, backend: ProcessBackend, shared: Path) -> None:
        envs = {"A-B": "odd", "PLAIN": "a b"}
        job = run(backend, 'pwd; env; cd "$HOME" || cd /', cwd=str(shared), envs=envs)
        lines = text(job).splitlines()
        assert lines[0] == str(shared)
        assert {"A-B=odd", "PLAIN=a b", f"TOOLBOX_JOB={job.id}"} <= set(lines)
        assert not [line for line in lines if line.startswith("TOOLBOX_TOKEN")]
        file = shared / "file"
        file.touch()
        for wrong in (file, shared / "none"):
            with pytest.raises(SpawnFailed):
                backend.jobs.start(StartJobRequest(command="true", cwd=str(wrong)))

    def test_signals(self, backend: ProcessBackend, shared: Path) -> None:
        """To the program alone, and to all it has started."""
        alone, below = shared / "alone", shared / "below"
        command = f"trap 'echo got' USR1; {stay(alone)} & echo ready; while :; do wait; done"
        job, _ = backend.jobs.start(StartJobRequest(command=command))
        eventually(lambda: has_started(alone) and "ready" in text(job), "the start")
        backend.jobs.signal(job.id, 10, False)
        eventually(lambda: "got" in text(job), "the trap")
        assert is_running(alone)
        backend.jobs.signal(job.id, 10, True)
        eventually(lambda: not is_running(alone), "the end of what has no trap")
        assert not job.done.is_set()
        backend.jobs.end(job.id)
        job, _ = backend.jobs.start(StartJobRequest(command=stay(below)))
        eventually(lambda: has_started(below), "the start")
        backend.jobs.signal(job.id, 19, True)
        backend.jobs.end(job.id)
        assert job.done.is_set()
        assert not is_running(below)

    def test_what_gets_away_is_ended_with_its_job(
        self, backend: ProcessBackend, shared: Path
    ) -> None:
        """By another session, without its parent, its variables and its streams; another job's
        isn't.
        """
        other = shared / "other"
        kept, _ = backend.jobs.start(StartJobRequest(command=stay(other)))
        files = [shared / str(number) for number in range(4)]
        quiet = "</dev/null >/dev/null 2>&1"
        ways = (
            "setsid -f sh -c {} {}",
            "nohup sh -c {} {} &",
            "env -i setsid -f sh -c {} {}",
            "(sh -c {} {} &)",
        )
        lines = [
            way.format(shlex.quote(stay(file)), quiet)
            for way, file in zip(ways, files, strict=True)
        ]
        request = StartJobRequest(command="\n".join([*lines, "sleep 1000"]))
        job, _ = backend.jobs.start(request)
        for file in (*files, other):
            eventually(lambda file=file: has_started(file), f"{file.name}")  # type: ignore[misc]
        assert all(is_running(file) for file in files)
        backend.jobs.end(job.id)
        assert job.done.is_set()
        assert [file for file in files if is_running(file)] == []
        assert is_running(other)
        backend.jobs.end(kept.id)

    def test_what_goes_on_in_the_background(self, backend: ProcessBackend, shared: Path) -> None:
        """It outlives its job, and is ended with it when that is deleted later."""
        file = shared / "file"
        job = run(backend, f"{stay(file)} >/dev/null 2>&1 & until [ -s {file} ]; do :; done")
        assert is_running(file)
        backend.jobs.end(job.id)
        assert not is_running(file)

    def test_a_session_lives_on(self, backend: ProcessBackend, shared: Path) -> None:
        """It survives the cancellation of a command, with what earlier ones have left."""
        sessions = backend.sessions
        sessions.create("contract", at_home=False)

        def execute(command: str, wait: bool = True) -> SessionCommand:
            request = SessionExecuteRequest(command=command, run_async=not wait)
            return sessions.execute("contract", request)

        left, current = shared / "left", shared / "current"
        execute(f"X=kept; cd {shared}; {stay(left)} >/dev/null 2>&1 &")
        execute(f"cd {shared}; until [ -s {left} ]; do sleep 0.01; done")
        command = execute(stay(current), wait=False)
        eventually(lambda: has_started(current), "the command")
        backend.jobs.end(command.id)
        assert command.done.wait(DEADLINE)
        assert (is_running(left), is_running(current)) == (True, False)
        assert text(execute("pwd")) == f"{shared}\n"
        sessions.delete("contract")
        assert not is_running(left)

    def test_a_terminal_controls_its_jobs(self, backend: ProcessBackend) -> None:
        """It is the controlling one: an interrupt reaches what runs, a new size the shell."""
        terminal = backend.terminals.create(CreatePtyRequest(id="contract", envs={"PS1": "$ "}))
        # The program itself reports: an interrupt that comes before it has begun is the shell's.
        program = b"sh -c \"echo rea''dy; exec sleep 1000\""
        terminal.write(b"stty -echo; trap 'stty size' WINCH; " + program + b"\n")
        eventually(lambda: "ready" in collect(terminal.spool, None, LIMIT).text, "the start")
        terminal.write(b"\x03")
        terminal.write(b"echo interr''upted; tty -s && echo is a t''ty\n")
        eventually(lambda: "is a tty" in collect(terminal.spool, None, LIMIT).text, "the tty")
        backend.terminals.resize("contract", PtySize(cols=91, rows=21))
        eventually(lambda: "21 91" in collect(terminal.spool, None, LIMIT).text, "the size")
        assert "no job control" not in collect(terminal.spool, None, LIMIT).text
        backend.terminals.delete("contract")
        assert terminal.done.is_set()

    def test_an_interpreter(self, backend: ProcessBackend) -> None:
        """It keeps its state, and code that takes too long is interrupted."""

        def interpret(code: str, timeout: int = 0) -> Run:
            client = Client()
            client.run = backend.interpreters.submit(CodeRequest(code=code), timeout, client)
            backend.interpreters.loop.call_soon(client.pump)
            assert client.ended.wait(DEADLINE)
            return client.run

        interpret("x = 41")
        slow = interpret("import time; time.sleep(1000)", 1)
        assert slow.timed_out
        done = interpret("print(x + 1)")
        assert done.spool is not None
        assert "42\n" in collect(done.spool, OUT, LIMIT).text

    def test_the_service_ends(self, backend: ProcessBackend, shared: Path) -> None:
        """With it all that runs, and what jobs that have ended have left."""
        running, left = shared / "running", shared / "left"
        backend.jobs.start(StartJobRequest(command=stay(running)))
        run(backend, f"setsid -f {stay(left)} >/dev/null 2>&1")
        eventually(lambda: has_started(running) and has_started(left), "the start")
        with suppress(AttributeError):
            backend.close()  # type: ignore[attr-defined]
        assert [file for file in (running, left) if is_running(file)] == []

"""Supervision of one program of the desktop: start, watch, restart and stop."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from toolbox.linux.clock import awake
from toolbox.linux.pidfd import open_process
from toolbox.linux.pidfd import send_signal
from toolbox.linux.procfs import all_processes
from toolbox.processes import descendants
from toolbox.processes import environment
from toolbox.processes import popen
from toolbox_computeruse.desktop.logfile import LogFile

FIRST_PAUSE = 0.25
"""Seconds before the first restart of a program; doubled each time."""
LAST_PAUSE = 30.0
"""Maximum seconds before a restart."""
STEADY = 10.0
"""Seconds of running after which the pause starts over at :data:`FIRST_PAUSE`."""
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""
POLL = 0.02
"""Seconds between checks of a program's needs."""
MARK = "TOOLBOX_DESKTOP_PROGRAM"
"""An environment variable that identifies all descendants of a program, even detached ones:
desktop sessions start agents that become daemons.
"""
LOG_CHECK = 30.0
"""Seconds between checks of the logs' sizes."""

log = logging.getLogger("toolbox")


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program to run, and its readiness check."""

    name: str
    priority: int
    """Programs are started in ascending order and stopped in descending order."""
    command: tuple[str, ...]
    ready: Callable[[], bool]
    needs: Callable[[], bool] = lambda: True
    """Reports whether the program can be started; checked before each start."""
    uses: tuple[str, ...] = ()
    """Names of the programs whose end it doesn't survive."""
    prepare: Callable[[], None] = lambda: None
    """Called before each start."""
    environ: dict[str, str] = {}
    auto_restart: bool = True
    required: bool = True


class Supervisor:
    """A supervisor of one program, which runs in its own process group and a thread watches."""

    def __init__(self, program: Program, log_dir: Path) -> None:
        self.program = program
        self.output = LogFile(log_dir / f"{program.name}.log")
        self.errors = LogFile(log_dir / f"{program.name}.err")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stop_fd = -1
        self._failure = ""
        self._id = str(uuid.uuid4())
        self._mark = f"{MARK}={self._id}".encode()

    @property
    def pid(self) -> int | None:
        """The pid; None if the program isn't running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def ready(self) -> bool:
        """Report whether the program runs and is ready."""
        return self.pid is not None and self.program.ready()

    @property
    def failure(self) -> str:
        """The reason why the program doesn't run, as far as it is known."""
        return self._failure or self.errors.last_line()

    @property
    def started(self) -> bool:
        """True if the program was started and not stopped since, even if it has ended."""
        return self._thread is not None

    @property
    def given_up(self) -> bool:
        """True if the program has ended and won't be restarted."""
        return self._thread is None or not self._thread.is_alive()

    def start(self) -> None:
        """Start the program, unless it was started already. Doesn't wait."""
        with self._lock:
            if not self.given_up:
                return
            # A thread that ended by itself has left its descriptor open.
            self._close_stop_fd()
            self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
            name = f"toolbox-{self.program.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Terminate the program and all of its descendants, and wait until they have ended."""
        with self._lock:
            if self._thread is None:
                return
            os.eventfd_write(self._stop_fd, 1)
            self._thread.join()
            self._thread = None
            self._close_stop_fd()
            # A program that ended by itself, perhaps just now, may have left processes behind.
            _terminate_all(0, self._mark)

    def _close_stop_fd(self) -> None:
        if self._stop_fd >= 0:
            os.close(self._stop_fd)
            self._stop_fd = -1

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while self._wait_for_needs():
            began = time.monotonic()
            self._failure = ""
            try:
                self._launch()
            except OSError as error:
                self._failure = f"{self.program.command[0]}: {os.strerror(error.errno or 0)}"
            else:
                self._watch()
            if time.monotonic() - began > STEADY:
                pause = FIRST_PAUSE
            # A stop ends the pause early.
            if not self.program.auto_restart or self._stopped(pause):
                return
            pause = min(pause * 2, LAST_PAUSE)

    def _wait_for_needs(self) -> bool:
        while not self._stopped(0):
            if self.program.needs():
                return True
            if self._stopped(POLL):
                break
        return False

    def _stopped(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for a request to stop; report whether there was one."""
        return bool(_wait([self._stop_fd], seconds))

    def _launch(self) -> None:
        self.program.prepare()
        with self.output.appending() as output, self.errors.appending() as errors:
            self._process = popen(
                list(self.program.command),
                env={**environment(), **self.program.environ, MARK: self._id},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                cwd=self.program.environ.get("HOME") or "/",
            )

    def _watch(self) -> None:
        """Wait until the program ends, or terminate it on a request to stop."""
        assert self._process is not None
        pidfd = open_process(self._process.pid)
        try:
            while not (ended := _wait([pidfd, self._stop_fd], LOG_CHECK)):
                self.output.limit()
                self.errors.limit()
            if pidfd not in ended:
                _terminate_all(self._process.pid, self._mark)
            else:
                # Processes left behind would hold ports and names that the next one needs. Before
                # wait(2), after which the pid, and so the group, may be another's.
                _kill_group(self._process.pid, signal.SIGKILL)
            status = self._process.wait()
        finally:
            os.close(pidfd)
        if pidfd in ended:
            self._failure = self.errors.last_line() or f"exited with status {status}"
            log.warning("%s exited with status %d", self.program.name, status)


def _wait(fds: list[int], seconds: float) -> set[int]:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(seconds * 1000)}


def _terminate_all(pid: int, mark: bytes) -> None:
    """Terminate a process (0: none), its session, its descendants and all processes with the mark.

    Sends SIGTERM, after GRACE seconds SIGKILL, and once more for processes started in between.
    """
    # Held open, a pidfd (pidfd_open(2)) can't come to mean another process of the same pid.
    known: dict[int, int] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            for member in _members(pid, mark) - known.keys():
                with contextlib.suppress(OSError):
                    known[member] = open_process(member)
            alive = set(known.values()) - _wait(list(known.values()), 0)
            if not alive:
                return
            for member, fd in known.items():
                if fd in alive:
                    with contextlib.suppress(OSError):
                        send_signal(fd, member, number)
            deadline = awake() + GRACE
            while alive and (left := deadline - awake()) > 0:
                alive -= _wait(list(alive), left)
    finally:
        for fd in known.values():
            os.close(fd)


def _members(pid: int, mark: bytes) -> set[int]:
    """Return the processes in the session that ``pid`` leads, its descendants, and marked ones."""
    processes = list(all_processes())
    found = {process.pid for process in processes if _is_marked(process.pid, mark)}
    if pid:  # Session 0 would be that of every process from outside a container.
        found |= {pid, *descendants(pid)}
        found |= {process.pid for process in processes if process.session == pid}
    return found


def _is_marked(pid: int, mark: bytes) -> bool:
    # Other users' processes can't be read, and aren't ours.
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)

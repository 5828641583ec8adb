"""One program of the desktop: started, watched, started again when it ends, and ended."""

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

from toolbox.processes import descendants
from toolbox.processes import environment
from toolbox.processes import parents
from toolbox.processes import popen
from toolbox_computeruse.logfile import LogFile

FIRST_PAUSE = 0.25
"""Seconds until a program that has ended is started again; doubled each time."""
LAST_PAUSE = 30.0
STEADY = 10.0
"""Seconds after which a program is taken to run well, and its next pause is the first again."""
GRACE = 3.0
"""Seconds between TERM and KILL."""
POLL = 0.02
MARK = "TOOLBOX_DESKTOP_PROGRAM"
"""A variable by which what a program started is found, however it has detached itself: desktop
sessions start agents that become daemons.
"""
LOG_CHECK = 30.0
"""Seconds between looks at how large the logs are."""

log = logging.getLogger("toolbox")


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is run and how it is known to be ready."""

    name: str
    priority: int
    """Programs are started from the lowest to the highest and stopped the other way."""
    command: tuple[str, ...]
    ready: Callable[[], bool]
    needs: Callable[[], bool] = lambda: True
    """What must be there before it is started, at the first time and later."""
    uses: tuple[str, ...] = ()
    """Names of the programs it can't outlive."""
    prepare: Callable[[], None] = lambda: None
    """Called before each start."""
    environ: dict[str, str] = {}
    auto_restart: bool = True
    required: bool = True


class Supervisor:
    """Runs one program, in a process group of its own, and watches it from a thread."""

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
        """The pid, while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def ready(self) -> bool:
        """Whether it runs and does its work."""
        return self.pid is not None and self.program.ready()

    @property
    def failure(self) -> str:
        """Why it doesn't run, as far as that is known."""
        return self._failure or self.errors.last_line()

    @property
    def started(self) -> bool:
        """Whether it was started and not stopped since, whatever has become of it."""
        return self._thread is not None

    @property
    def given_up(self) -> bool:
        """Whether it has ended and won't be started again."""
        return self._thread is None or not self._thread.is_alive()

    def start(self) -> None:
        """Start it, unless that was done. Returns at once."""
        with self._lock:
            if not self.given_up:
                return
            self._close_stop_fd()
            self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
            name = f"toolbox-{self.program.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End it and everything it has started; returns when that is gone."""
        with self._lock:
            if self._thread is None:
                return
            ran = self.pid is not None
            os.eventfd_write(self._stop_fd, 1)
            self._thread.join()
            self._thread = None
            self._close_stop_fd()
            if not ran:  # Then only what it has left behind is there to be ended.
                _end_everything(0, self._mark)

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
        """Wait up to ``seconds`` to be told to stop; whether that was the case."""
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
        """Wait until the program ends, or end it if told to stop."""
        assert self._process is not None
        pidfd = os.pidfd_open(self._process.pid)
        try:
            while not (ended := _wait([pidfd, self._stop_fd], LOG_CHECK)):
                self.output.limit()
                self.errors.limit()
            if pidfd not in ended:
                _end_everything(self._process.pid, self._mark)
            status = self._process.wait()
        finally:
            os.close(pidfd)
        if pidfd in ended:
            self._failure = self.errors.last_line() or f"ended with status {status}"
            log.warning("%s ended with status %d", self.program.name, status)
            # Whoever it left behind would hold ports and names that the next one needs.
            _kill_group(self._process.pid, signal.SIGKILL)


def _wait(fds: list[int], seconds: float) -> set[int]:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(seconds * 1000)}


def _end_everything(pid: int, mark: bytes) -> None:
    """End a process (0: none), its session, all below it and all with the mark.

    TERM, GRACE seconds, KILL, and once more for who was started meanwhile.
    """
    known: dict[int, int] = {}
    try:
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            for each in _belonging(pid, mark) - known.keys():
                with contextlib.suppress(OSError):
                    known[each] = os.pidfd_open(each)
            alive = set(known.values()) - _wait(list(known.values()), 0)
            if not alive:
                return
            for fd in alive:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(fd, number)
            deadline = time.monotonic() + GRACE
            while alive and (left := deadline - time.monotonic()) > 0:
                alive -= _wait(list(alive), left)
    finally:
        for fd in known.values():
            os.close(fd)


def _belonging(pid: int, mark: bytes) -> set[int]:
    """Who is of the session that ``pid`` leads, below it, or has the mark."""
    everybody = parents()
    found = {each for each in everybody if _is_marked(each, mark)}
    if pid:  # Everything from outside a container is of session 0.
        found |= {pid, *descendants(pid)}
        found |= {each for each in everybody if _in_session(each, pid)}
    return found


def _in_session(pid: int, leader: int) -> bool:
    try:
        return os.getsid(pid) == leader
    except OSError:
        return False


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)

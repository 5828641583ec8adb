"""The watchdog of gunicorn's master process: a pause is not a hang.

The master replaces a worker that hasn't reported for too long, and everything that runs in the
service ends with it. By the clock alone a stopped worker looks like a hanging one:

* Both were stopped: a frozen control group, SIGSTOP of everything. Then the master's own last check
  is long ago, too, and every worker's time starts again.
* Only the worker was stopped, by a signal or a debugger. That was on purpose, and ends some time; a
  hanging worker is running or asleep, not stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from functools import partial
from typing import Any

from toolbox.linux.procfs import read_state

MASTER_STOPPED = 3.0
"""Seconds between two checks, usually one, from which on the master must have been stopped."""

MORE_WORKERS = ("ttin", "ttou", "usr2")
"""Signals at which gunicorn starts a second worker, ends the older of two, or starts a second
master: each request would then see only half of the sessions.
"""


class Watchdog:
    """Replaces ``murder_workers`` of gunicorn's ``arbiter``."""

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._checked = time.monotonic()
        self._all_since = 0.0
        self._since: dict[int, float] = {}

    def check(self) -> None:
        """Terminate workers that hang. Called once a second."""
        now = time.monotonic()
        if now - self._checked > MASTER_STOPPED:
            self._all_since = now
        self._checked = now
        workers = list(self._arbiter.WORKERS.items())
        self._since = {pid: self._since.get(pid, 0.0) for pid, _ in workers}
        for pid, worker in workers:
            if self._is_overdue(pid, worker, now):
                if is_stopped(pid):
                    self._since[pid] = now
                else:
                    self._terminate(pid, worker)

    def _is_overdue(self, pid: int, worker: Any, now: float) -> bool:
        try:
            reported = worker.tmp.last_update()
        except (OSError, ValueError):
            return False
        since = max(reported, self._all_since, self._since[pid])
        return bool(self._arbiter.timeout and now - since > self._arbiter.timeout)

    def _terminate(self, pid: int, worker: Any) -> None:
        if worker.aborted:
            self._arbiter.kill_worker(pid, signal.SIGKILL)
            return
        self._arbiter.log.critical("WORKER TIMEOUT (pid:%s)", pid)
        # SIGABRT first, SIGKILL at the next check, as gunicorn does.
        worker.aborted = True
        self._arbiter.kill_worker(pid, signal.SIGABRT)


def watch(arbiter: Any) -> None:
    """Watch the worker of ``arbiter``, and keep it to one: gunicorn's hook ``on_starting``."""
    arbiter.murder_workers = Watchdog(arbiter).check
    for name in MORE_WORKERS:
        setattr(arbiter, f"handle_{name}", partial(_refuse, arbiter, name))


def _refuse(arbiter: Any, name: str) -> None:
    # In ``toolbox serve`` SIGUSR2 upgrades: toolbox.serving.reloading.
    why = "; only `toolbox serve` upgrades in place" if name == "usr2" else ""
    text = "SIG%s is ignored: the service has exactly one worker%s"
    arbiter.log.warning(text, name.upper(), why)


def is_stopped(pid: int) -> bool:
    """Report whether a signal (``T``) or a tracer (``t``) has stopped ``pid``."""
    return read_state(pid) in ("T", "t")


def heartbeat_directory() -> str | None:
    """Return a directory for the file by whose times the master sees that the worker is alive: in
    memory, unless a job has filled that, or else wherever a file can be made.
    """
    for directory in ("/dev/shm", None):
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=directory):
            return directory
    return os.curdir

"""What gunicorn's master process watches its workers by: a pause is no hang.

It replaces a worker that hasn't reported for too long, and with the worker everything that runs in
the service is gone. By the clock alone a worker that was stopped looks as one that hangs:

* Both were stopped: a frozen control group, SIGSTOP of everything. Then the master's own last look
  is long ago, too, and everybody's time begins anew.
* Only the worker was stopped, by a signal or a debugger. Somebody wanted that, and will let it go
  on; what hangs runs, or sleeps.
"""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

LATE = 3.0
"""Seconds between two looks, which are one second apart, after which the master was stopped."""

MORE_WORKERS = ("ttin", "ttou", "usr2")
"""Signals at which gunicorn starts a second worker, ends the older of two, or starts a second
master: requests would find half of the sessions in one, half in the other.
"""


class Watch:
    """Stands in for ``murder_workers`` of gunicorn's ``arbiter``."""

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._looked = time.monotonic()
        self._all_since = 0.0
        self._since: dict[int, float] = {}

    def look(self) -> None:
        """End the workers that hang. Called once a second."""
        now = time.monotonic()
        if now - self._looked > LATE:
            self._all_since = now
        self._looked = now
        workers = list(self._arbiter.WORKERS.items())
        self._since = {pid: self._since.get(pid, 0.0) for pid, _ in workers}
        for pid, worker in workers:
            if self._is_late(pid, worker, now):
                if is_stopped(pid):
                    self._since[pid] = now
                else:
                    self._end(pid, worker)

    def _is_late(self, pid: int, worker: Any, now: float) -> bool:
        try:
            reported = worker.tmp.last_update()
        except (OSError, ValueError):
            return False
        since = max(reported, self._all_since, self._since[pid])
        return bool(self._arbiter.timeout and now - since > self._arbiter.timeout)

    def _end(self, pid: int, worker: Any) -> None:
        if worker.aborted:
            self._arbiter.kill_worker(pid, signal.SIGKILL)
            return
        self._arbiter.log.critical("WORKER TIMEOUT (pid:%s)", pid)
        worker.aborted = True
        self._arbiter.kill_worker(pid, signal.SIGABRT)


def watch(arbiter: Any) -> None:
    """Watch the workers of ``arbiter``, and keep it to one: gunicorn's hook ``on_starting``."""
    arbiter.murder_workers = Watch(arbiter).look
    for name in MORE_WORKERS:
        setattr(arbiter, f"handle_{name}", partial(_refuse, arbiter, name))


def _refuse(arbiter: Any, name: str) -> None:
    arbiter.log.warning("SIG%s is ignored: all that runs here is one worker's", name.upper())


def is_stopped(pid: int) -> bool:
    """Whether a signal or a tracer has stopped ``pid`` (proc_pid_stat(5))."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t")

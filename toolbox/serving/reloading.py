"""The master's part in an upgrade in place (SIGUSR2).

1. A process of the new version loads the settings and every plugin. If that fails, nothing changes.
2. The master executes the new version in its own place (:mod:`toolbox.handover.inheritance`); the
   old worker goes on serving.
3. It forks a new worker, which imports everything, and tells the old one to hand over to it
   (:mod:`toolbox.serving.succession`). Until then the old one can go on if the new one fails.
4. What the old worker has started becomes the master's own children when that ends: the master
   reports the exit status of each to the worker.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from typing import Any

from gunicorn.errors import HaltServer

from toolbox.handover.checking import Check
from toolbox.handover.control import Control
from toolbox.handover.control import Message
from toolbox.handover.inheritance import Inheritance
from toolbox.handover.inheritance import Secrets
from toolbox.handover.inheritance import leave
from toolbox.handover.reaping import ended_children
from toolbox.handover.reaping import reap
from toolbox.handover.report import ReportFile
from toolbox.http.gunicorn_ import replace_heartbeat
from toolbox.linux.kept import all_kept
from toolbox.linux.reaper import kill_descendants

START_LIMIT = 300.0
"""Seconds from the start of the new worker until it serves; after that the old one goes on."""

END_LIMIT = 20.0
"""Seconds the old worker has to end once the new one serves."""

log = logging.getLogger("toolbox")


class Reloading:
    """Upgrades of one service, and what they need all the time: reaping, and the workers' control
    sockets. Everything here runs in the master's loop.
    """

    def __init__(self, directory: str, inheritance: Inheritance | None) -> None:
        self._directory = directory
        self._inheritance = inheritance
        self._report = ReportFile(inheritance.report if inheritance else -1)
        self._check: Check | None = None
        self._deadline = 0.0
        self._again = inheritance is not None and inheritance.again
        self._successor = 0
        self._received = False
        self._done: Message | None = None
        self._arbiter: Any = None
        self._export: Any = None

    def attach(self, arbiter: Any, export: Any) -> None:
        """Take part in the arbiter's work; ``export()`` returns the secrets. Before its first
        worker is forked.
        """
        self._arbiter, self._export = arbiter, export
        arbiter.handle_usr2 = self.begin
        arbiter.reap_workers = self.reap
        watch, spawn = arbiter.murder_workers, arbiter.spawn_worker

        def look() -> None:
            watch()
            self.look()

        def spawn_one() -> None:
            try:
                spawn()
            except OSError as error:
                if not arbiter.WORKERS:
                    raise
                arbiter.num_workers, self._successor = 1, 0
                self._fail(f"no worker can be started: {error.strerror}: the old one goes on")

        arbiter.murder_workers, arbiter.spawn_worker = look, spawn_one
        if self._inheritance is not None:
            self._adopt(self._inheritance)

    @property
    def busy(self) -> bool:
        """True while an upgrade is going on."""
        return self._check is not None or bool(self._successor) or self._done is not None

    def begin(self) -> None:
        """Begin an upgrade, or another one after that which is going on."""
        if self.busy:
            self._again = True
            log.info("reload: another one follows the one that is going on")
            return
        self._report.begin("checking")
        if len(self._arbiter.WORKERS) != 1:
            self._fail("there is no worker to hand over: nothing is changed")
            return
        log.info("reload: checking the new version")
        try:
            self._check = Check(self._directory, self._arbiter.LISTENERS[0].fileno())
        except OSError as error:
            self._fail(f"the new version can't be started: {error.strerror}: nothing is changed")

    def _look_at_check(self) -> None:
        reason = self._check.result() if self._check else None
        if reason is None:
            return
        self._check = None
        if reason:
            self._fail(f"the new version can't be loaded: {reason}: nothing is changed")
        else:
            self._leave()

    def _leave(self) -> None:
        arbiter = self._arbiter
        (pid, worker), *others = arbiter.WORKERS.items() or [(0, None)]
        if worker is None or others:
            self._fail("there is no worker to hand over: nothing is changed")
            return
        self._report.update(state="starting")
        inheritance = Inheritance(
            listeners=[listener.fileno() for listener in arbiter.LISTENERS],
            secrets=self._export(),
            worker=pid,
            age=worker.age,
            heartbeat=worker.tmp.fileno(),
            control=worker.control.sock.fileno(),
            report=self._report.fd,
            directory=self._directory,
            kept=all_kept(),
            again=self._again,
        )
        try:
            leave(inheritance)
        except OSError as error:
            self._fail(f"the new version can't be executed: {error.strerror}: nothing is changed")

    def _adopt(self, inheritance: Inheritance) -> None:
        """List the old worker as gunicorn does its own, and have a second one forked."""
        arbiter = self._arbiter
        worker = arbiter.worker_class(
            inheritance.age,
            os.getpid(),
            arbiter.LISTENERS,
            arbiter.app,
            arbiter.timeout / 2.0,
            arbiter.cfg,
            arbiter.log,
        )
        replace_heartbeat(worker, inheritance.heartbeat)
        worker.pid, worker.booted = inheritance.worker, True
        worker.control = Control(socket.socket(fileno=inheritance.control))
        arbiter.WORKERS[inheritance.worker] = worker
        arbiter.worker_age = inheritance.age
        # gunicorn then forks a second one, and ends none.
        arbiter.num_workers = 2
        self._deadline = time.monotonic() + START_LIMIT
        # Those that have ended since the old version last looked.
        self.reap()

    def before_fork(self, arbiter: Any, worker: Any) -> None:
        """Connect a worker that is about to be forked: gunicorn's hook ``pre_fork``."""
        worker.control, worker.own_control = Control.pair()
        worker.predecessor, worker.secrets_before = None, Secrets()
        inheritance, self._inheritance = self._inheritance, None
        if inheritance is None:
            return
        if inheritance.worker not in arbiter.WORKERS:
            self._fail("the old worker ended before anything was handed over: what ran has ended")
            return
        theirs, ours = socket.socketpair()
        old = arbiter.WORKERS[inheritance.worker]
        old.control.send({"kind": "hand-over"}, theirs.fileno())
        theirs.close()
        worker.predecessor, worker.secrets_before = ours, inheritance.secrets
        self._successor = -1  # Its pid is known once it is forked.

    def after_fork(self, arbiter: Any, worker: Any) -> None:
        """Close the master's ends in a worker: gunicorn's hook ``post_fork``."""
        for other in (*arbiter.WORKERS.values(), worker):
            other.control.close()
        worker.control = worker.own_control
        if self._report.fd >= 0:
            os.close(self._report.fd)

    def look(self) -> None:
        """Take the next step, if there is one to take. Called once a second, and after SIGCHLD."""
        self._look_at_check()
        for pid, worker in list(self._arbiter.WORKERS.items()):
            if own := getattr(worker, "own_control", None):
                # Forked: its own end, and that of the connection to the old worker, are its alone.
                own.close()
                worker.own_control = None
                if worker.predecessor is not None:
                    worker.predecessor.close()
                    self._successor = pid
            worker.control.flush()
            for message, _ in worker.control.receive():
                self._handle(pid, worker, message)
        self._end_overdue()
        if self._again and not self.busy:
            self._again = False
            self.begin()

    def _end_overdue(self) -> None:
        if time.monotonic() < self._deadline:
            return
        if self._successor > 0 and not self._received:
            self._arbiter.kill_worker(self._successor, signal.SIGKILL)
        elif self._done is not None:
            # The old one has nothing left to do.
            old = min(self._arbiter.WORKERS.items(), key=_age)[0]
            self._arbiter.kill_worker(old, signal.SIGKILL)

    def _handle(self, pid: int, worker: Any, message: Message) -> None:
        if pid != self._successor:
            return
        match message.get("kind"):
            case "received":
                # If the old worker has ended before this, what it ran was killed.
                self._received = len(self._arbiter.WORKERS) == 2
                worker.control.send({"kind": "go" if self._received else "no"})
            case "refused":
                self._report.update(reason=str(message.get("reason")))
            case "done":
                self._done, self._successor = message, 0
                self._deadline = time.monotonic() + END_LIMIT
                if len(self._arbiter.WORKERS) == 1:
                    self._succeed(message)

    def _succeed(self, message: Message) -> None:
        self._done = None
        found = {key: message.get(key) for key in ("gap", "version", "counts", "ended", "anew")}
        self._report.finish("done", **found)
        log.info("reload: done, %s s without service", found["gap"])

    def _fail(self, reason: str) -> None:
        log.error("reload: %s", reason)
        self._report.finish("failed", reason=reason)

    # Children that end

    def reap(self) -> None:
        """Reap all children that have ended (gunicorn's ``reap_workers``), and tell the workers."""
        for pid in ended_children():
            if pid in self._arbiter.WORKERS:
                self._reap_worker(pid)
            elif self._check is not None and pid == self._check.pid:
                self._check.reap()
            else:
                message = reap(pid)
                for worker in self._arbiter.WORKERS.values():
                    worker.control.send(message)

    def _reap_worker(self, pid: int) -> None:
        arbiter = self._arbiter
        code = reap(pid)["status"]
        self.look()  # What it, or its successor, has said before.
        worker = arbiter.WORKERS.pop(pid)
        worker.tmp.close()
        worker.control.close()
        if code < 0:
            log.error("the worker (pid %s) was sent %s", pid, signal.Signals(-code).name)
        elif code:
            # gunicorn's keeps quiet about a status whose reason the worker has reported.
            report = log if pid == self._successor else arbiter.log
            report.error("the worker (pid %s) exited with %s", pid, code)
        arbiter.num_workers = 1
        if pid == self._successor and not self._received:
            self._successor = 0
            # The old worker goes on; what this one has started is nothing but itself.
            reason = self._report.report.get("reason") or "the new version could not start"
            self._fail(f"{reason}: the old worker goes on")
            return
        self._on_old_end(pid, code)

    def _on_old_end(self, pid: int, code: int) -> None:
        arbiter = self._arbiter
        if self._successor and pid != self._successor and self._received:
            return  # Its work is in good hands.
        if self._done is not None and arbiter.WORKERS:
            if _age(next(iter(arbiter.WORKERS.items()))) == arbiter.worker_age:
                self._succeed(self._done)
            return
        if self.busy and self._check is None:
            self._successor, self._done = 0, None
            self._fail("a worker ended before everything was handed over: what ran has ended")
        kill_descendants(keep=set(arbiter.WORKERS))
        if code in (arbiter.WORKER_BOOT_ERROR, arbiter.APP_LOAD_ERROR):
            raise HaltServer("Worker failed to boot.", code)  # type: ignore[no-untyped-call]


def _age(item: tuple[int, Any]) -> int:
    return int(item[1].age)

"""The backend ``local``: checkpoints in a directory of this machine, made by helper programs."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from toolbox.activity import Work as Activity
from toolbox.errors import Unavailable
from toolbox.handover.parcel import Parcel
from toolbox.lifecycle import Context
from toolbox.plugins.capabilities import Figure
from toolbox_checkpoints import paths
from toolbox_checkpoints.errors import CheckpointConflict
from toolbox_checkpoints.errors import CheckpointNotFound
from toolbox_checkpoints.helper import GRACE
from toolbox_checkpoints.helper import Run
from toolbox_checkpoints.models import Checkpoint
from toolbox_checkpoints.models import CreateRequest
from toolbox_checkpoints.models import Diff
from toolbox_checkpoints.models import DiffQuery
from toolbox_checkpoints.models import Work
from toolbox_checkpoints.running import Running
from toolbox_checkpoints.settings import LocalSettings
from toolbox_checkpoints.settings import data_directory
from toolbox_checkpoints.showing import show_checkpoint
from toolbox_checkpoints.showing import show_diff
from toolbox_checkpoints.showing import show_work
from toolbox_checkpoints.store import Record
from toolbox_checkpoints.store import Store

UNBOUNDED = 2**62
"""More bytes than any disk has."""

START = 60.0
"""Seconds that a request waits for what an earlier service has left to be finished."""

log = logging.getLogger("toolbox")


class LocalCheckpoints:
    """See :class:`toolbox_checkpoints.backend.CheckpointsBackend`."""

    handover_format = 1

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self._settings = settings
        self._pool = context.pool
        self._base = context.work_dir
        self._store = Store(data_directory(settings))
        self._running = Running(context.pool, self._recover)
        self._ready = threading.Event()
        self._sweeping = threading.Lock()
        # A service that has never made a checkpoint has nothing to finish, and starts no helper.
        if self._store.exists():
            self._pool.submit(self._begin)
        else:
            self._ready.set()

    def create(
        self, request: CreateRequest, wait: float, is_disconnected: Callable[[], bool]
    ) -> Checkpoint:
        self._check_ready()
        path = paths.existing(request.path, self._base, self._store.directory)
        exclude = [paths.to_name(pattern) for pattern in request.exclude]
        self._store.prepare()
        record: Record = {
            "id": uuid.uuid4().hex,
            "path": path,
            "label": request.label,
            "exclude": exclude,
            "created": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        # By the latest, not by one of the same excludes: what both have is shared in any case.
        bound = self._settings.max_bytes
        task = self._task("create", record) | {
            "previous": self._store.latest(path),
            "budget": bound - self._store.stored() if bound else UNBOUNDED,
            "record": record,
        }
        run = self._running.start(task, record, reads=(path,), ended=self._created)
        # A failure is the response of whoever waits for it; others find it in the list.
        if run.wait(wait, is_disconnected):
            return show_checkpoint(run.outcome(), complete=True)
        return show_checkpoint(record, run)

    def private_paths(self) -> list[Path]:
        """Return the directory of all checkpoints: from it a helper takes what it puts in place, as
        the service's user. A :class:`toolbox.plugins.capabilities.HasPrivatePaths`.
        """
        # Made now: what begins before the first checkpoint must not see it later.
        with suppress(OSError):
            self._store.prepare()
        return [self._store.directory]

    def all(self) -> list[Checkpoint]:
        shown = [
            show_checkpoint(record | {"changed": []}, None, self._running.works(record["id"]), True)
            for record in self._store.records()
        ]
        # One can become complete between the two looks, and must not be listed twice.
        complete = {checkpoint.id for checkpoint in shown}
        for record, run in self._running.creating():
            if record["id"] not in complete:
                shown.append(show_checkpoint(record, run))
        return sorted(shown, key=lambda checkpoint: checkpoint.created)

    def get(self, identity: str, wait: float, is_disconnected: Callable[[], bool]) -> Checkpoint:
        self._running.wait(identity, wait, is_disconnected)
        making = self._running.made(identity)
        try:
            record = self._store.record(identity)
        except CheckpointNotFound:
            if making is None:
                raise
            return show_checkpoint(*making)
        return show_checkpoint(record, None, self._running.works(identity), complete=True)

    def diff(self, identity: str, query: DiffQuery, is_disconnected: Callable[[], bool]) -> Diff:
        self._check_ready()
        record = self._store.record(identity)
        other = self._store.path(self._store.record(query.against)["id"]) if query.against else None
        task = self._task("diff", record) | {
            "other": str(other / "tree") if other else record["path"],
            "is_live": other is None,
            "only": self._only(query.path),
            "files": query.files,
            "bytes": query.bytes,
        }
        uses = (identity, query.against)
        run = self._running.start(task, record, uses=uses)
        # Nobody else can get the result.
        while not run.wait(START, is_disconnected):
            if is_disconnected():
                run.cancel()
                break
        run.done.wait()
        return show_diff(run.outcome())

    def restore(
        self,
        identity: str,
        only: list[str],
        wait: float,
        is_disconnected: Callable[[], bool],
    ) -> Work:
        self._check_ready()
        record = self._store.record(identity)
        task = self._task("restore", record) | {"only": self._only(only)}
        run = self._running.start(task, record, uses=(identity,), writes=(record["path"],))
        return self._finished(run, wait, is_disconnected)

    def fork(
        self, identity: str, path: str, wait: float, is_disconnected: Callable[[], bool]
    ) -> Work:
        self._check_ready()
        record = self._store.record(identity)
        target = paths.new(path, self._base, self._store.directory)
        task = self._task("fork", record) | {"target": target}
        run = self._running.start(task, record, uses=(identity,), writes=(target,))
        return self._finished(run, wait, is_disconnected)

    def delete(self, identity: str) -> None:
        if self._running.cancel(identity):
            return
        # A restore or a fork would miss files in the middle.
        if self._running.uses(identity):
            raise CheckpointConflict("the checkpoint is in use")
        self._store.discard(identity)
        self._pool.submit(self._sweep)

    def hand_over(self, parcel: Parcel) -> bytes:
        """End what is going on as soon as no directory of a user is incomplete. A
        :class:`toolbox.plugins.capabilities.HandsOver`.
        """
        for record, run in self._running.creating():
            if not run.done.is_set():
                name = {"kind": "checkpoint", "id": str(record["id"])}
                parcel.ended.append({**name, "reason": "what is copied would not be of one moment"})
        self._running.close(GRACE, sweeps=True)
        return b""

    def close(self) -> None:
        """End what is going on, and wait until nothing incomplete is left."""
        self._running.close(GRACE)

    def activity(self) -> Activity:
        """Return how much is going on for clients."""
        running, end = self._running.activity()
        return Activity(running=running, last_end=end)

    def figures(self) -> list[Figure]:
        """Return the number of checkpoints, and the room that they take."""
        records = self._store.records()
        stored = float(sum(record["stored"] for record in records))
        return [
            Figure(name="checkpoints", value=len(records), help="Complete checkpoints."),
            Figure(name="stored", value=stored, help="Bytes of checkpoints.", unit="bytes"),
        ]

    def _task(self, kind: str, record: Record) -> dict[str, Any]:
        return {
            "kind": kind,
            "id": record["id"],
            "path": record["path"],
            "exclude": record["exclude"],
            "store": str(self._store.directory),
            "checkpoint": str(self._store.path(record["id"])),
        }

    def _only(self, given: list[str]) -> list[str]:
        only = [paths.relative(path) for path in given]
        # The directory itself is everything.
        return [] if "" in only else only

    def _finished(self, run: Run, wait: float, is_disconnected: Callable[[], bool]) -> Work:
        if run.wait(wait, is_disconnected):
            run.outcome()
        return show_work(run)

    def _created(self, run: Run) -> None:
        """Delete the oldest of more than are kept, and what a killed helper has left."""
        left = run.result is None and self._store.leftovers(".making")
        excess = self._store.records()[: -self._settings.keep] if run.result else []
        for record in excess:
            if not self._running.uses(record["id"]):
                try:
                    self._store.discard(record["id"])
                except (OSError, CheckpointNotFound) as error:
                    log.warning("could not delete the checkpoint %s: %s", record["id"], error)
        if excess or left:
            self._pool.submit(self._sweep)

    def _check_ready(self) -> None:
        if not self._ready.wait(START):
            raise Unavailable("what an earlier service has left is still being finished")

    def _begin(self) -> None:
        try:
            self._sweep(only_begun=True)
        finally:
            self._ready.set()
        self._sweep()

    def _recover(self) -> None:
        if self._store.leftovers(".work"):
            self._sweep(only_begun=True)

    def _sweep(self, only_begun: bool = False) -> None:
        with self._sweeping:
            task = {"kind": "sweep", "store": str(self._store.directory), "begun": only_begun}
            try:
                run = Run(task)
                self._running.follow(run)
                for failure in run.outcome().get("failed", []):
                    log.warning("checkpoints: %s", failure)
            except Exception as error:
                # The next one tries again.
                log.warning("could not remove what checkpoints have left: %s", error)

"""The states of sandboxes: one transition of each at a time.

A transition is stored before anything happens, then worked on in the background, and its end is
stored before it is reported. Whatever is interrupted is thus found by :mod:`.recovery`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from toolbox.lifecycle import Context
from toolbox.threads import Pool
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import WrongState
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.records import Running
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.store import Table
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.events import changes
from toolbox_fleet.models.sandboxes import DesiredState
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.sandboxes import State
from toolbox_fleet.times import format_time

log = logging.getLogger("toolbox")

Work = Callable[[Record], None]
"""The work of a transition, in the background. May raise: the sandbox is then in the state
``failed`` of the transition, with the exception's text as its reason.
"""

LIVE = frozenset(
    {
        *("pending_build", "building_snapshot", "creating", "starting", "started"),
        *("pausing", "paused", "resuming", "restoring"),
    }
)
"""States in which a sandbox has processes, or is about to."""


class Transition(NamedTuple):
    """The way from one state to another."""

    allowed: frozenset[str]
    """States in which it may begin."""
    through: State
    end: State
    desired: DesiredState | None = None
    """The state that the caller wants; None leaves it."""
    failed: State = "error"


class States:
    """Stores, works on and reports the transitions of sandboxes."""

    def __init__(
        self,
        context: Context,
        settings: LocalSettings,
        table: Table[Record],
        report: Callable[[Event], None],
    ) -> None:
        self._context = context
        self._settings = settings
        self.table = table
        self.report = report
        self.lock = threading.RLock()
        """Held while something is stored and reported: events come in the order of changes."""
        self._changed = threading.Condition(self.lock)
        self._busy: dict[str, threading.Lock] = {}
        """The locks of sandboxes, each held while something happens to one."""
        # Its own threads: starts take seconds, and more at once take longer each.
        self._starts = Pool(settings.starting or 2 * (os.cpu_count() or 1), "toolbox-fleet")
        self.closing = False

    def record(self, key: str) -> Record:
        """Return the record of a sandbox, by id or name. Raises NoSuchSandbox."""
        record = self.table.find(key)
        if record is None:
            # Clients look for "not found".
            raise NoSuchSandbox("sandbox not found: none has this id or name")
        return record

    def add(self, record: Record) -> Sandbox:
        """Store a new sandbox, in the state ``creating``. Raises NameTaken, NoCapacity."""
        sandbox = record.sandbox
        with self.lock:
            self._check_capacity()
            self.table.add(sandbox.id, sandbox.name, record)
            self.report(Event(kind="created", sandbox=sandbox, new=sandbox.state))
        return sandbox

    def _check_capacity(self) -> None:
        """Raise NoCapacity if no more sandboxes may have processes."""
        live = sum(one.sandbox.state in LIVE for one in self.table.all())
        if live >= self._settings.max_sandboxes:
            raise NoCapacity(
                f"{live} sandboxes are running: stop some, or set [fleet.local] max_sandboxes",
                {"Retry-After": "10"},
            )

    def run(self, key: str, transition: Transition, work: Work) -> Sandbox:
        """Begin a transition of a sandbox; return it in the state ``through``.

        If it is on the way already, or in the desired state, it is returned as it is. Raises
        NoSuchSandbox, WrongState, NoCapacity.
        """
        with self.lock:
            record = self.record(key)
            state = record.sandbox.state
            if state in (transition.through, transition.end):
                return record.sandbox
            if state not in transition.allowed:
                raise WrongState(f"the sandbox is {state}")
            if transition.through in LIVE and state not in LIVE:
                self._check_capacity()
            changed = self.store(record.sandbox.id, transition.through, transition.desired)
        self.submit(changed, transition, work)
        return changed.sandbox

    def submit(self, record: Record, transition: Transition, work: Work) -> None:
        """Do the work of a transition that is stored. Also after a restart."""
        identity = record.sandbox.id
        pool = self._starts if transition.end == "started" else self._context.pool
        pool.submit(self.guard, identity, lambda: self._work(identity, transition, work))

    def _work(self, identity: str, transition: Transition, work: Work) -> None:
        if not self.await_copies(identity):
            return  # The next start of the service goes on with it.
        with self.busy(identity):
            record = self.table.get(identity)
            # A deletion came first.
            if record is None or record.sandbox.state != transition.through:
                return
            try:
                work(record)
            except Exception as error:
                self._fail(identity, transition, error)
            else:
                self.finish(identity, transition.through, transition.end)

    def _fail(self, identity: str, transition: Transition, error: Exception) -> None:
        if self.closing:
            return  # The next start of the service goes on with it.
        text = str(error) or type(error).__name__
        # A bug is for the log, too; an end of the service is not one.
        if not isinstance(error, OSError) and type(error).__module__ == "builtins":
            log.exception("sandbox %s: %s failed", identity, transition.through)
        self.finish(identity, transition.through, transition.failed, text)

    def await_copies(self, identity: str) -> bool:
        """Wait until every sandbox that was accepted as a copy of this one has its files.

        Returns False if the service is about to end before that. Nobody waits for each other:
        copies are begun in the order in which they and all that waits for them were accepted.
        """
        with self.lock:
            while self._has_copies_to_come(identity):
                if self.closing:
                    return False
                self._changed.wait()
        return True

    def _has_copies_to_come(self, identity: str) -> bool:
        return any(
            one.empty and one.source == identity and one.sandbox.state == "creating"
            for one in self.table.all()
        )

    def set_filled(self, identity: str) -> None:
        """Note that a new sandbox has its files. Raises KeyError."""
        with self.lock:
            self.table.change(identity, lambda one: msgspec.structs.replace(one, empty=False))
            self._changed.notify_all()

    def finish(self, identity: str, through: State, end: State, reason: str | None = None) -> None:
        """Store the end of a transition, unless a deletion has come meanwhile."""
        with self.lock:
            record = self.table.get(identity)
            if record is not None and record.sandbox.state == through:
                self.store(identity, end, reason=reason)

    def store(
        self,
        identity: str,
        state: State,
        desired: DesiredState | None = None,
        reason: str | None = None,
    ) -> Record:
        """Store the state of a sandbox and report the change. Raises KeyError."""

        def change(record: Record) -> Record:
            sandbox = msgspec.structs.replace(
                record.sandbox,
                state=state,
                desired_state=desired or record.sandbox.desired_state,
                error_reason=reason,
                recoverable=state == "error",
                updated_at=format_time(),
            )
            return msgspec.structs.replace(record, sandbox=sandbox)

        with self.lock:
            record = self.table.get(identity)
            old = record.sandbox if record else None
            changed = self.table.change(identity, change)
            if old is not None:
                self._tell(old, changed.sandbox)
            # A copy that fails or is deleted is no longer to come.
            self._changed.notify_all()
        return changed

    def _tell(self, old: Sandbox, new: Sandbox) -> None:
        for event in changes(old, new):
            self.report(event)

    def set_running(self, identity: str, running: Running | None) -> Record:
        """Store the processes of a sandbox. Raises KeyError."""
        return self.table.change(
            identity, lambda record: msgspec.structs.replace(record, running=running)
        )

    def busy(self, identity: str) -> threading.Lock:
        """Return the lock of a sandbox, to be held while something happens to it."""
        with self.lock:
            return self._busy.setdefault(identity, threading.Lock())

    def forget(self, identity: str) -> None:
        """Forget the lock of a sandbox that is gone."""
        with self.lock:
            self._busy.pop(identity, None)

    def guard(self, identity: str, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception:
            # A pool would keep it to itself.
            log.exception("sandbox %s: an error that should not be", identity)

    def close(self) -> None:
        """Begin nothing more."""
        with self.lock:
            self.closing = True
            self._changed.notify_all()
        self._starts.shutdown(wait=False, cancel_futures=True)

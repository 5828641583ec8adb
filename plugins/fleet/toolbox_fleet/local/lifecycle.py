"""Everything that happens to sandboxes: what their transitions do, deletion and sudden ends.

Deletion wins over everything, also over a creation that is not at its end: its state is stored at
once, and whatever the transition under way waits for is ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from toolbox.lifecycle import Context
from toolbox_fleet.errors import WrongState
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.metrics import Metrics
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.records import Running
from toolbox_fleet.local.running.isolation import name_of
from toolbox_fleet.local.running.service import Services
from toolbox_fleet.local.states import States
from toolbox_fleet.local.states import Transition
from toolbox_fleet.local.states import Work
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import Sandbox

START = Transition(frozenset({"stopped"}), "starting", "started", "started")
RESTORE = Transition(frozenset({"archived"}), "restoring", "started", "started")
RESUME = Transition(frozenset({"paused"}), "resuming", "started", "started", "paused")
RECOVER = Transition(frozenset({"error"}), "starting", "started", "started")
STOP = Transition(frozenset({"started", "paused"}), "stopping", "stopped", "stopped")
PAUSE = Transition(frozenset({"started"}), "pausing", "paused", "paused", "started")


log = logging.getLogger("toolbox")

CREATE = Transition(frozenset(), "creating", "started", "started")


class Lifecycle:
    """Creates, starts, suspends, stops and deletes sandboxes.

    ``states`` is for transitions of others: their work calls the methods here that are made for it.
    """

    def __init__(
        self, context: Context, layout: Layout, states: States, services: Services
    ) -> None:
        self._context = context
        self.layout = layout
        self.states = states
        self.services = services
        self.metrics: Metrics | None = None
        self.postponed: Callable[[Record], None] = lambda _: None
        """Called with a new sandbox that waits for something, to be begun by whoever has that."""
        self._table = states.table
        self.ending = False
        """True from when all are stopped: none starts any more."""

    def create(self, record: Record) -> Sandbox:
        """Store a new sandbox and begin to start it. Raises NameTaken, NoCapacity."""
        isolation = self.services.isolation
        if uid := isolation.assign({one.uid for one in self._table.all()}):
            sandbox = msgspec.structs.replace(record.sandbox, user=name_of(uid))
            record = msgspec.structs.replace(record, uid=uid, sandbox=sandbox)
        sandbox = self.states.add(record)
        if sandbox.state == "creating":
            self.begin_creating(record)
        else:
            self.postponed(record)
        return sandbox

    def begin_creating(self, record: Record) -> None:
        """Begin to start a new sandbox that is stored."""
        self._reserve(record)
        self.continue_creating(record)

    def _reserve(self, record: Record) -> None:
        """Make the port of a service known before its start: clients keep the first URL."""
        identity = record.sandbox.id
        try:
            others = {one.port for one in self._table.all() if one.sandbox.id != identity}
            port = self.services.reserve(identity, record.port, others)
        except OSError:
            return  # The start will say so.
        if port != record.port:
            self._table.change(identity, lambda row: msgspec.structs.replace(row, port=port))

    def continue_creating(self, record: Record) -> None:
        """Fill the home of a new sandbox, and start it. Also after a restart."""
        self.states.submit(record, CREATE, self._create)

    def _create(self, record: Record) -> None:
        self._fill(record)
        self.start_service(record)

    def _fill(self, record: Record) -> None:
        """Give a sandbox the files that it begins with, unless it has them."""
        identity = record.sandbox.id
        paths = self.layout.sandbox(identity)
        paths.make()
        if not record.empty:
            return

        def canceled() -> bool:
            return self.states.closing or self.is_canceled(record)

        for supply in self.services.supplies:
            supply.fill(record, paths.files, canceled)
        self.states.set_filled(identity)

    def recreate(self, record: Record) -> None:
        """Begin the interrupted creation of a sandbox again. It keeps the files that it has got:
        where they are from may be gone.
        """
        self.states.submit(record, CREATE, self._recreate)

    def _recreate(self, record: Record) -> None:
        self.services.kill(record.running, record.sandbox.id)
        if record.empty:
            self.layout.discard(self.layout.sandbox(record.sandbox.id).root)
        self._create(record)

    def is_canceled(self, record: Record) -> bool:
        """Report whether a deletion waits for the end of the sandbox's transition."""
        now = self._table.get(record.sandbox.id)
        return now is None or now.sandbox.state == "destroying"

    def start(self, key: str) -> Sandbox:
        """Start a stopped or archived sandbox, or resume a paused one.

        Raises NoSuchSandbox, WrongState, NoCapacity.
        """
        state = self.states.record(key).sandbox.state
        if state == "paused":
            return self.states.run(key, RESUME, self.resume)
        if state == "archived":
            return self.begin(key, RESTORE, self.restore)
        if state == "creating":
            return self.states.record(key).sandbox
        # One that couldn't be restored has been stopped since.
        return self.begin(key, START, self.restore)

    def begin(self, key: str, transition: Transition, work: Work) -> Sandbox:
        """Begin a transition that starts a service. Raises as :meth:`States.run`."""
        sandbox = self.states.run(key, transition, work)
        record = self._table.get(sandbox.id)
        if record is not None and record.running is None and sandbox.state == transition.through:
            self._reserve(record)
        return sandbox

    def restore(self, record: Record) -> None:
        """Bring back an archived sandbox and start it. As a transition's work."""
        for supply in self.services.supplies:
            supply.restore(record)
        # One whose creation has failed: without its files it would be another sandbox.
        self._fill(record)
        self.start_service(record)

    def start_service(self, record: Record) -> None:
        """Start a sandbox's service and wait until it is ready. As a transition's work."""
        identity = record.sandbox.id

        def started(running: Running) -> None:
            with self.states.lock:
                self.states.set_running(identity, running)
                if self.is_canceled(record):
                    raise WrongState("the sandbox is being deleted")
                if self.ending:
                    raise WrongState("the control plane is ending")

        if self.ending:
            raise WrongState("the control plane is ending")
        # Whatever an interrupted start has left.
        self.services.end_rest(record.running, identity)
        try:
            self.services.start(record, started)
        except BaseException:
            # Ended and reaped: nothing is left that a record would have to name.
            self.states.set_running(identity, None)
            raise
        self.watch(identity)

    def watch(self, identity: str) -> None:
        """Notice the end of a sandbox's service."""
        record = self._table.get(identity)
        if record is None or record.running is None:
            return
        running = record.running

        def ended() -> None:
            self._context.pool.submit(
                self.states.guard, identity, lambda: self.died(identity, running)
            )

        if self.metrics is not None:
            self.metrics.start()
        try:
            self.services.watch(running, ended)
        except ProcessLookupError:
            ended()

    def died(self, identity: str, running: Running) -> None:
        """Note that a service has ended though nobody wanted it."""
        with self.states.busy(identity):
            record = self._table.get(identity)
            if record is None or record.running != running or self.states.closing:
                return
            reason = self.services.reason(running, identity)
            self.services.kill(running, identity)
            with self.states.lock:
                self.states.set_running(identity, None)
                if record.sandbox.state != "destroying":
                    self.states.store(identity, "error", reason=reason)

    def resume(self, record: Record) -> None:
        """Continue a suspended sandbox. As a transition's work."""
        if record.running is not None:
            self.services.resume(record.running, record.sandbox.id)

    def pause(self, record: Record) -> None:
        """Suspend a sandbox. As a transition's work."""
        if record.running is not None:
            self.services.pause(record.running, record.sandbox.id)

    def stop_service(self, record: Record, force: bool = False) -> None:
        """End all processes of a sandbox. As a transition's work."""
        identity = record.sandbox.id
        if record.running is None:
            self.services.kill(None, identity)
            return
        if not force:
            # Suspended processes can't end themselves.
            self.services.resume(record.running, identity)
        self.services.stop(record.running, identity, force)
        self.states.set_running(identity, None)

    def delete(self, key: str) -> Sandbox:
        """Begin to delete a sandbox in any state. Raises NoSuchSandbox."""
        with self.states.lock:
            record = self.states.record(key)
            identity = record.sandbox.id
            if record.sandbox.state == "destroying":
                return record.sandbox
            record = self.states.store(identity, "destroying", "destroyed")
            # Its name is free for another from now on.
            self._table.rename(identity, None, record)
        if record.running is not None:
            # A transition that waits for it ends, and lets go of the lock.
            self.services.interrupt(record.running)
        self.continue_deleting(record)
        return record.sandbox

    def continue_deleting(self, record: Record) -> None:
        """Delete a sandbox. Also after a restart."""
        identity = record.sandbox.id
        self._context.pool.submit(self.states.guard, identity, lambda: self._delete(identity))

    def _delete(self, identity: str) -> None:
        if not self.states.await_copies(identity):
            return
        with self.states.busy(identity):
            record = self._table.get(identity)
            if record is None:
                return
            try:
                self.services.kill(record.running, identity)
                self.layout.discard(self.layout.sandbox(identity).root)
                for supply in self.services.supplies:
                    supply.gone(record)
            except Exception as error:
                # Whatever it is: it must not stay in a state that nothing ends, and deleting it
                # again tries again.
                self.states.finish(identity, "destroying", "error", f"it can't be deleted: {error}")
                return
            with self.states.lock:
                self._table.remove(identity)
                old = record.sandbox
                gone = msgspec.structs.replace(old, state="destroyed")
                self.states.report(Event(kind="state", sandbox=gone, old=old.state, new=gone.state))
        self.states.forget(identity)
        if self.metrics is not None:
            self.metrics.forget(identity)

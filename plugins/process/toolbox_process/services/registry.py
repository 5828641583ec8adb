"""All services, by name."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from functools import partial

from toolbox.errors import Conflict
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox_process.definition import Definition
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.errors import ServiceNotFound
from toolbox_process.matching.blocking import BlockingMatcher
from toolbox_process.matching.on_loop import LoopMatcher
from toolbox_process.services.models import State
from toolbox_process.services.service import LocalService
from toolbox_process.services.store import Record
from toolbox_process.services.store import Store

MAX_SERVICES = 500
"""Services that may exist at once: each has open files, and its output on disk."""

# States in which waiting for another one ends, because it doesn't come by itself.
FINAL: frozenset[State] = frozenset({"stopped", "failed"})

log = logging.getLogger("toolbox")


class LocalServices:
    """See :class:`toolbox_process.services.protocol.Services`.

    ``declared`` are those of the settings; they come before stored ones of the same name. Those
    that are ``expected`` run already, and come by :meth:`restore`.
    """

    def __init__(
        self,
        engine: Engine,
        declared: Mapping[str, Definition],
        expected: Iterable[str] = (),
    ) -> None:
        self._engine = engine
        self.matcher = LoopMatcher(engine.loop, engine.pool)
        self._patterns = BlockingMatcher()
        self._store = Store(engine.settings.state_dir, engine.work_dir)
        engine.private += self._store.paths
        self._lock = threading.Lock()
        self._services: dict[str, LocalService] = {}
        self._closing = False
        self._expected = {*expected}
        # Records of declared ones say only whether they were stopped.
        records = {record.name: record for record in self._store.load()}
        for name, definition in declared.items():
            self._services[name] = self.new(name, definition, declared=True)
        for name, record in records.items():
            if name not in declared and record.definition is not None:
                self._services[name] = self.new(name, record.definition)
        for name, service in self._services.items():
            service.stopped = name in records and records[name].stopped
            if not service.stopped and name not in self._expected:
                service.start()

    def new(self, name: str, definition: Definition, declared: bool = False) -> LocalService:
        """Return a service that isn't listed yet."""
        return LocalService(self._engine, self.matcher, name, definition, declared)

    def list(self) -> list[LocalService]:
        with self._lock:
            return [self._services[name] for name in sorted(self._services)]

    def find(self, name: str) -> LocalService | None:
        """Return a service, None if there is none of that name."""
        with self._lock:
            return self._services.get(name)

    def get(self, name: str) -> LocalService:
        service = self.find(name)
        if service is None:
            raise ServiceNotFound(f"service not found: {name!r}")
        return service

    def put(self, name: str, definition: Definition) -> tuple[LocalService, bool]:
        self._check(definition)
        while True:
            with ExitStack() as held:
                held.enter_context(self._engine.waiting.admitted())
                service, is_new = self._enter(name, definition, held)
                # Deleted while its turn was waited for: then it is a new one.
                if not service.removed:
                    self._define(service, definition, is_new)
                    return service, is_new

    def _check(self, definition: Definition) -> None:
        """Raise BadRequest if the pattern of ``ready.log`` can't be used."""
        pattern = definition.ready and definition.ready.log
        if pattern:
            # Not here: to compile one may take seconds, and a client has written it.
            with self._engine.waiting.admitted(), self._patterns.used():
                self._patterns.search(pattern, "")

    def _enter(
        self, name: str, definition: Definition, held: ExitStack
    ) -> tuple[LocalService, bool]:
        """Return a service with its turn ``held``, and whether it is new."""
        with self._lock:
            if self._closing:
                raise Unavailable("the service is stopping")
            service = self._services.get(name)
            if service is None:
                if len(self._services) >= MAX_SERVICES:
                    raise Conflict(f"there are {MAX_SERVICES} services already")
                service = self.new(name, definition)
                # Nobody else can have it: it isn't waited for with the lock.
                held.enter_context(service.turn)
                self._services[name] = service
                return service, True
        held.enter_context(service.turn)
        return service, False

    def _define(self, service: LocalService, definition: Definition, is_new: bool) -> None:
        if not is_new and service.definition == definition:
            return
        if service.declared:
            raise Conflict(f"service {service.id!r} is declared in the settings")
        # First: if it can't be stored, the old one goes on as if nothing had been asked for.
        try:
            self._store.save(Record(name=service.id, definition=definition))
            service.stopped = False
        except BaseException:
            if is_new:
                self._forget(service)
            raise
        if is_new:
            service.start()
        else:
            service.replace(definition)

    def _forget(self, service: LocalService) -> None:
        service.remove()
        with self._lock:
            del self._services[service.id]

    @contextmanager
    def _turn(self, name: str) -> Iterator[LocalService]:
        """Yield a service with its turn. Raises ServiceNotFound, TooManyWaiting."""
        service = self.get(name)
        # Whoever has the turn may wait for an end: not all threads may wait behind that.
        with self._engine.waiting.admitted(), service.turn:
            yield service

    def start(self, name: str) -> LocalService:
        with self._turn(name) as service:
            service.start()
            self._remember(service, stopped=False)
        return service

    def stop(self, name: str) -> LocalService:
        with self._turn(name) as service:
            service.stop()
            self._remember(service, stopped=True)
        return service

    def restart(self, name: str) -> LocalService:
        with self._turn(name) as service:
            service.stop()
            service.start()
            self._remember(service, stopped=False)
        return service

    def _remember(self, service: LocalService, stopped: bool) -> None:
        """Store whether it is to run after the service's own restart. With its turn."""
        # After the deed: a full disk must not keep a program from being stopped.
        if service.removed or service.stopped == stopped:
            return
        definition = None if service.declared else service.definition
        self._store.save(Record(name=service.id, definition=definition, stopped=stopped))
        service.stopped = stopped

    def delete(self, name: str) -> None:
        with self._turn(name) as service:
            if service.declared:
                raise Conflict(f"service {name!r} is declared in the settings: it can be stopped")
            if not service.removed:
                # In this order: what could not be ended can be deleted again.
                service.stop()
                self._store.remove(name)
                self._forget(service)

    def wait(
        self, name: str, ready: bool, timeout: float, is_disconnected: IsDisconnected = never
    ) -> LocalService:
        service = self.get(name)
        with self._engine.waiting.admitted():
            service.status.wait(FINAL | {"ready"} if ready else FINAL, timeout, is_disconnected)
        return service

    def busy(self) -> int:
        """Return the number of those that run and keep the sandbox busy."""
        services = self.list()
        return sum(service.running and service.definition.keepalive for service in services)

    def states(self) -> Counter[State]:
        """Return the number of services in each state."""
        return Counter(service.status.state for service in self.list())

    def close(self) -> None:
        """Start nothing any more; the engine ends what runs."""
        for service in self._close():
            service.close()
        self._release()

    def _close(self) -> tuple[LocalService, ...]:
        with self._lock:
            self._closing = True
            return (*self._services.values(),)

    def _release(self) -> None:
        self.matcher.close()
        self._store.close()

    # Upgrades in place

    @contextmanager
    def held(self, seconds: float) -> Iterator[Sequence[LocalService]]:
        """Yield the services, each with its turn, and accept nothing any more.

        One that is still being started or stopped after ``seconds`` isn't among them.
        """
        deadline = time.monotonic() + seconds
        with ExitStack() as turns:
            found = []
            for service in self._close():
                if service.turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
                    turns.callback(service.turn.release)
                    found += [] if service.removed else [service]
                else:
                    service.close()
            yield found
            # With the turns: one that ends instead must not be started again.
            for service in found:
                service.close()
        self._release()

    def restore(self, service: LocalService) -> None:
        """List a service that goes on. On the loop, before there are clients."""
        self._expected.discard(service.id)
        wanted = self._services.get(service.id)
        if wanted is None and service.declared:
            self._submit(service.remove)  # It isn't declared any more.
            return
        self._services[service.id] = service
        if wanted is None:
            return
        service.stopped, service.declared = wanted.stopped, wanted.declared
        if service.definition == wanted.definition:
            return
        if service.stopped:
            service.definition = wanted.definition
        else:
            self._submit(partial(service.replace, wanted.definition))

    def start_missing(self) -> None:
        """Start those that were expected and have not come. On the loop."""
        for name in self._expected & {*self._services}:
            if not self._services[name].stopped:
                self._submit(self._services[name].start)

    def _submit(self, change: Callable[[], object]) -> None:
        def run() -> None:
            try:
                change()
            except ToolboxError as error:
                log.error("services: %s", error.message)

        self._engine.pool.submit(run)

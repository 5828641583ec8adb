"""Helpers for tests of this group and its backends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from toolbox.testing import DEADLINE
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.plane import plane_of


def eventually(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until ``condition()`` is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in time"
        time.sleep(0.01)


def reaches(backend: FleetBackend, key: str, state: str) -> Sandbox:
    """Return a sandbox as soon as it is in ``state``. Fails at once if it is in ``error``."""

    def is_there() -> bool:
        sandbox = backend.sandbox(key)
        assert state == "error" or sandbox.state != "error", sandbox.error_reason
        return sandbox.state == state

    eventually(is_there, f"the state {state}")
    return backend.sandbox(key)


def made(backend: FleetBackend, **wanted: object) -> Sandbox:
    """Return a new sandbox that is started."""
    sandbox = backend.create(CreateSandbox(**wanted))  # type: ignore[arg-type]
    return reaches(backend, sandbox.id, "started")


def stopped(backend: FleetBackend, **wanted: object) -> Sandbox:
    """Return a new sandbox that is stopped."""
    sandbox = made(backend, **wanted)
    backend.stop(sandbox.id, force=True)
    return reaches(backend, sandbox.id, "stopped")


def is_gone(backend: FleetBackend, key: str) -> bool:
    """Report whether a sandbox no longer exists."""
    with suppress(NoSuchSandbox):
        return backend.sandbox(key).state == "destroyed"
    return True


class Recorder:
    """The events that a backend reports, in their order."""

    def __init__(self, backend: FleetBackend) -> None:
        plane = plane_of(backend)
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._pass_on = plane.report
        plane.report = self._report  # type: ignore[method-assign]

    def _report(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)
        self._pass_on(event)

    def of(self, sandbox_id: str, kind: str = "state") -> list[Event]:
        """Return the events of a sandbox so far."""
        with self._lock:
            return [
                event
                for event in self._events
                if (event.sandbox.id, event.kind) == (sandbox_id, kind)
            ]

    def states(self, sandbox_id: str) -> list[str]:
        """Return the states that a sandbox has entered so far."""
        return [event.new for event in self.of(sandbox_id)]

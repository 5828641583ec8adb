"""Numbers of a control plane for metrics, whatever the backend."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

from toolbox.errors import ToolboxError
from toolbox.plugins.capabilities import Figure
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import Sandbox

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds from ``create()`` to ``started``: from a warm sandbox to an image that is pulled."""

POOLED = "pooled"
"""The state, in metrics, of those that wait in warm pools: nobody uses them."""

_MOST = 100_000
"""Sandboxes that are waited for; of a backend that never reports an end, the oldest is dropped."""


class Counts:
    """Counts what is created here, and how soon it is ready.

    Each replica of a control plane counts the requests that it serves, so their sum is right.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[str, float] = {}
        self._results = Counter[str]()
        self._within = Counter[float]()
        self._ready = 0
        self._seconds = 0.0
        self._warm = 0

    def create(self, create: Callable[[], Sandbox], look: Callable[[str], Sandbox]) -> Sandbox:
        """Return what ``create()`` returns; ``look`` returns a sandbox by its id."""
        begun = time.monotonic()
        try:
            sandbox = create()
        except Exception:
            self._count("refused")
            raise
        self._count("accepted")
        with self._lock:
            while len(self._begun) >= _MOST:
                self._begun.pop(next(iter(self._begun)))
            self._begun[sandbox.id] = begun
        # It may have been ready, or gone, before anybody waited for that.
        with contextlib.suppress(ToolboxError):
            self._reached(sandbox.id, look(sandbox.id).state)
        return sandbox

    def took_warm(self) -> None:
        """Count a sandbox that a warm pool had ready. A backend calls it."""
        with self._lock:
            self._warm += 1

    def observe(self, event: Event) -> None:
        """Note an event of a sandbox."""
        if event.kind == "state":
            self._reached(event.sandbox.id, event.new)

    def _reached(self, sandbox_id: str, state: str) -> None:
        if state not in ("started", "error", "destroying", "destroyed"):
            return
        with self._lock:
            begun = self._begun.pop(sandbox_id, None)
        if begun is None:
            return
        if state != "started":
            self._count("failed")
            return
        seconds = time.monotonic() - begun
        with self._lock:
            self._ready += 1
            self._seconds += seconds
            for bound in BOUNDS:
                self._within[bound] += seconds <= bound

    def _count(self, result: str) -> None:
        with self._lock:
            self._results[result] += 1

    def figures(self, sandboxes: Callable[[], Iterable[Sandbox]]) -> Iterator[Figure]:
        """Yield the numbers; ``sandboxes`` returns those that there are."""
        with contextlib.suppress(ToolboxError):  # The backend has no access to them at present.
            yield from _states(sandboxes())
        with self._lock:
            results, within = Counter(self._results), Counter(self._within)
            ready, seconds, warm = self._ready, self._seconds, self._warm
        for result in ("accepted", "refused", "failed"):
            text = "Sandboxes asked for: accepted, refused at once, or accepted and never ready."
            yield _counter("creates", results[result], text, result=result)
        yield _counter("warm_hits", warm, "Sandboxes created that a warm pool had ready.")
        yield _counter("ready", ready, "Created sandboxes that have become ready.")
        yield Figure(
            name="ready_time",
            value=seconds,
            help="Seconds from their creation until they were ready, added up.",
            kind="counter",
            unit="seconds",
        )
        text = "Created sandboxes that were ready within so many seconds."
        for bound in BOUNDS:
            yield _counter("ready_within", within[bound], text, le=str(bound))
        yield _counter("ready_within", ready, text, le="+Inf")


def _states(sandboxes: Iterable[Sandbox]) -> Iterator[Figure]:
    states = Counter[str]({"started": 0, "stopped": 0, "error": 0, POOLED: 0})
    states.update(POOLED if one.warm_pool_id else one.state for one in sandboxes)
    for state, count in sorted(states.items()):
        text = "Sandboxes by state; those that wait in warm pools are pooled."
        yield Figure(name="sandboxes", value=count, help=text, labels={"state": state})


def _counter(name: str, value: float, text: str, **labels: str) -> Figure:
    return Figure(name=name, value=value, help=text, kind="counter", labels=labels)

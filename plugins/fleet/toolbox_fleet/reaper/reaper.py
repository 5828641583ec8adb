"""The reaper: one timer for each sandbox of which something will become.

Nothing runs while nothing is due. When something is, the sandbox is looked at again, and if it is
to be stopped or paused for want of activity it is asked: requests that went past the control plane
and running jobs count, too. Several control planes may reap the same sandboxes: what one has done,
the others find done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from toolbox.errors import ToolboxError
from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox.threads import Crew
from toolbox_fleet.backend import CanArchive
from toolbox_fleet.backend import CanPause
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.reaper.activity import Activity
from toolbox_fleet.reaper.activity import NoResponse
from toolbox_fleet.reaper.activity import ask
from toolbox_fleet.reaper.watched import Action
from toolbox_fleet.reaper.watched import Now
from toolbox_fleet.reaper.watched import Watched
from toolbox_fleet.settings import FleetSettings

THREADS = 8
"""Sandboxes that are looked at at once: one that doesn't respond holds up none of the others."""

RETRY = 60.0
"""Seconds after which a sandbox that could not be asked, stopped or deleted is tried again."""

log = logging.getLogger("toolbox")


class Reaper:
    """Stops, pauses, archives and deletes the sandboxes of ``backend`` when they are due."""

    def __init__(
        self,
        backend: FleetBackend,
        loop: Loop,
        settings: FleetSettings,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._loop = loop
        self._settings = settings
        self._wall = wall
        self._lock = threading.Lock()
        self._watched: dict[str, Watched] = {}
        self._closed = False
        # Not the pool of the service: backends start sandboxes there, many at once.
        self._crew = Crew(THREADS)
        self._does: dict[Action, Callable[[str], object]] = {
            "stop": lambda sandbox_id: backend.stop(sandbox_id, force=False),
            "delete": backend.delete,
        }
        if isinstance(backend, CanPause):
            self._does["pause"] = backend.pause
        if isinstance(backend, CanArchive):
            self._does["archive"] = backend.archive

    def start(self) -> None:
        """Look for the sandboxes that there are already."""
        if not self._closed:
            self._crew.submit(self._find)

    def close(self) -> None:
        """Do nothing from now on."""
        with self._lock:
            self._closed = True
            for watched in self._watched.values():
                _cancel(watched)
            self._watched.clear()
        self._crew.shutdown()

    def observe(self, sandbox: Sandbox) -> None:
        """Take note of a sandbox that has changed. From any thread; it never waits."""
        with self._lock:
            watched = self._watched.get(sandbox.id)
            if watched is None:
                watched = self._watched[sandbox.id] = Watched(sandbox, self._now(), False)
            else:
                watched.see(sandbox, self._now())
            self._plan(watched)

    def look(self, sandbox_id: str) -> None:
        """Look at a sandbox soon. From any thread."""
        self._crew.submit(partial(self._look, sandbox_id))

    def _now(self) -> Now:
        return Now(awake(), self._wall())

    def _find(self) -> None:
        try:
            found = list(self._backend.sandboxes())
        except ToolboxError as error:
            # Another service may hold the records for now; later they may be ours.
            log.info("reaper: no sandboxes: %s", error)
            self._loop.call_later(RETRY, self.start)
            return
        for sandbox in found:
            with self._lock:
                # Those that an event has told of meanwhile are known better.
                if sandbox.id not in self._watched:
                    watched = self._watched[sandbox.id] = Watched(sandbox, self._now(), True)
                    self._plan(watched)

    def _plan(self, watched: Watched) -> None:
        """Set the timer of a sandbox. Under the lock."""
        _cancel(watched)
        sandbox = watched.sandbox
        if self._closed or sandbox.state == "destroyed":
            self._watched.pop(sandbox.id, None)
        elif due := watched.due(self._does):
            wait = max(0.0, due[0] - awake())
            watched.timer = self._loop.call_later(wait, partial(self.look, sandbox.id))

    def _look(self, sandbox_id: str) -> None:
        """Do what is due for a sandbox, and plan what is due next."""
        with self._lock:
            watched = self._watched.get(sandbox_id)
        if watched is None:
            return  # Deleted meanwhile, or not found yet.
        try:
            self._refresh(watched)
            due = watched.due(self._does)
            if due and due[0] <= awake() and self._is_idle(watched, due[1]):
                self._do(watched, due[1])
        except NoSuchSandbox:
            self._forget(sandbox_id)
            return
        except (Refused, Unsupported) as error:
            # It would be refused again and again.
            log.warning("reaper: sandbox %s: %s", sandbox_id, error)
            watched.held = True
        except Exception as error:
            self._put_off(watched, error)
        with self._lock:
            self._plan(watched)

    def _forget(self, sandbox_id: str) -> None:
        with self._lock:
            if (watched := self._watched.pop(sandbox_id, None)) is not None:
                _cancel(watched)

    def _refresh(self, watched: Watched) -> None:
        """Take over the record of a sandbox: another process may have changed it."""
        version = watched.version
        sandbox = self._backend.sandbox(watched.sandbox.id)
        with self._lock:
            # An event that came meanwhile is newer.
            if watched.version == version:
                watched.see(sandbox, self._now())

    def _is_idle(self, watched: Watched, action: Action) -> bool:
        """Report whether the time of an action has really come; if not, note the activity."""
        if action not in ("stop", "pause"):
            return True
        try:
            activity = ask(self._backend.upstream(watched.sandbox.id), self._loop)
        except NoResponse as error:
            # Whatever runs in there may still run: a sandbox isn't stopped for being slow.
            self._put_off(watched, error)
            return False
        with self._lock:
            watched.active = max(watched.active, awake() - self._idle(activity))
            due = watched.due(self._does)
        return due is not None and due == (due[0], action) and due[0] <= awake()

    def _idle(self, activity: Activity) -> float:
        busy = activity.busy and not self._settings.autostop_running
        return 0.0 if busy else activity.idle_seconds

    def _do(self, watched: Watched, action: Action) -> None:
        sandbox = watched.sandbox
        log.info("sandbox %s is due, reaper: %s", sandbox.id, action)
        # Until the backend tells of it, or if it never does.
        watched.not_before = awake() + RETRY
        self._does[action](sandbox.id)

    def _put_off(self, watched: Watched, error: Exception) -> None:
        expected = isinstance(error, ToolboxError | NoResponse)
        log.warning(
            "reaper: sandbox %s is put off: %s",
            watched.sandbox.id,
            error,
            exc_info=None if expected else error,
        )
        watched.not_before = awake() + RETRY


def _cancel(watched: Watched) -> None:
    if watched.timer is not None:
        watched.timer.cancel()
        watched.timer = None

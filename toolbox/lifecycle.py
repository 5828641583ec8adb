"""The service as a whole: what it is made of, how it starts and how it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from toolbox.auth import Auth
from toolbox.errors import Unavailable
from toolbox.guard import Guard
from toolbox.handoff import Sockets
from toolbox.logs import make_observers
from toolbox.loop import Loop
from toolbox.masking import Mask
from toolbox.observing import Observers
from toolbox.plugins import Registry
from toolbox.plugins import ServedGroup
from toolbox.plugins import refuse_lacking
from toolbox.protocols import lacking_now
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError
from toolbox.threads import Pool

log = logging.getLogger("toolbox")


@dataclass(frozen=True)
class Context:
    """What a backend gets from the core beside its own settings."""

    options: Any
    """The group's own options: the struct its ``Group`` named as ``settings``."""
    loop: Loop
    """The I/O loop."""
    pool: Executor
    """Threads for work that blocks and belongs to no request."""
    work_dir: Path
    """Where relative paths start."""
    auth: Auth
    """The token, for the group that sets it."""
    mask: Mask | None = None
    """What hides secrets in the output of what is started; None if that isn't asked for."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the service begins to end: an answer that has no end of its own ends now."""
    restarted: bool = False
    """Whether this worker replaces one that died, and with which all it had started has ended."""


class Toolbox:
    """One service: settings, plugins and, once :meth:`start` was called, everything running."""

    def __init__(
        self, settings: CoreSettings, registry: Registry, auth: Auth, work_dir: Path, mask: Mask
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.auth = auth
        self.guard = Guard(auth, settings.auth, settings.server.host)
        self.work_dir = work_dir
        self.mask = mask
        self.backends: dict[str, Any] = {}
        self.loop = Loop()
        self.sockets = Sockets(settings.websocket, self.loop)
        self.pool = Pool(64, "toolbox-pool")
        self.observers = Observers()
        for observer in make_observers(settings.log):
            self.observers.add(observer)
        self.stopping = threading.Event()
        self._state = "starting"
        self._in_flight = 0
        self._idle = threading.Condition()

    @property
    def state(self) -> str:
        """``starting``, ``ready``, ``stopping``, or ``failed: `` and why."""
        return self._state

    def backend(self, group: str) -> Any:
        """The backend that serves ``group``. Raises Unavailable before the start and after the
        end of the service.
        """
        try:
            return self.backends[group]
        except KeyError:
            raise Unavailable(f"the service is {self._state}", {"Retry-After": "1"}) from None

    def figures(self) -> Iterator[tuple[str, str, float]]:
        """What the backends have right now: group, name and value of each figure."""
        for group, backend in list(self.backends.items()):
            figures = getattr(backend, "figures", None)
            for name, value in figures().items() if figures else ():
                yield group, name, value

    def start(self, restarted: bool = False) -> None:
        """Make the backends and run the start hooks. In the worker, before it accepts.

        ``restarted`` as in :class:`Context`. Raises SettingsError if a backend is incomplete or
        can't be made; not when it could once: that is tried again.
        """
        self.loop.start()
        self.pool.start()
        for served in self.registry.served:
            context = Context(
                *(served.options, self.loop, self.pool, self.work_dir, self.auth),
                mask=self.mask if self.settings.log.mask_output else None,
                stopping=self.stopping,
                restarted=restarted,
            )
            self.backends[served.group.name] = _make_backend(served, context)
        for observer in self.registry.hook.toolbox_observer(toolbox=self):
            self.observers.add(observer)
        if self.registry.hook.toolbox_startup.get_hookimpls():
            # A slow start must not look like a dead service: answer "starting" meanwhile.
            threading.Thread(target=self._run_startup, name="toolbox-start", daemon=True).start()
        else:
            self._state = "ready"

    def _run_startup(self) -> None:
        try:
            self.registry.hook.toolbox_startup(toolbox=self)
        except Exception as error:
            log.exception("a start hook failed")
            self._state = f"failed: {type(error).__name__}"
        else:
            self._state = "ready"

    def check_ready(self) -> None:
        """Raises Unavailable unless the service is ready."""
        if self._state != "ready":
            raise Unavailable(f"the service is {self._state}", {"Retry-After": "1"})

    def enter(self) -> None:
        """A request begins."""
        with self._idle:
            self._in_flight += 1

    def leave(self) -> None:
        """A request has ended."""
        with self._idle:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.notify_all()

    def stop(self, timeout: float) -> None:
        """End everything within about ``timeout`` seconds: half of it for requests to finish.

        Sockets are closed 1001 at once. What jobs and hooks leave running is ended by force.
        """
        if self._state == "stopping":
            return
        self._state = "stopping"
        self.stopping.set()
        deadline = time.monotonic() + timeout
        self.sockets.close_all(timeout / 4)
        with self._idle:
            self._idle.wait_for(lambda: not self._in_flight, timeout / 2)
        self._guard("a stop hook", self.registry.hook.toolbox_shutdown, toolbox=self)
        for name, backend in reversed(list(self.backends.items())):
            if close := getattr(backend, "close", None):
                self._guard(f"closing {name}", close)
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.loop.stop()
        log.info("stopped, %.1f s before the limit", deadline - time.monotonic())

    def _guard(self, what: str, function: Any, **arguments: Any) -> None:
        try:
            function(**arguments)
        except Exception:
            # The others must still be ended.
            log.exception("%s failed", what)


def _make_backend(served: ServedGroup, context: Context) -> Any:
    where = f"{served.group.section}.backend"
    name = served.backend.name
    try:
        backend = served.backend_class(served.settings, context)
    except SettingsError:
        raise
    except Exception as error:
        if context.restarted:
            raise
        log.exception("the backend %r of %s can't be made", name, served.group.name)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SettingsError(f"{where}: {name!r} can't be made: {reason}") from None
    refuse_lacking(where, name, lacking_now(backend, served.group.backend))
    return backend

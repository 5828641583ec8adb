"""The service as a whole: its parts, its start and its stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import msgspec
from pluggy import PluginManager

from toolbox.activity import Activity
from toolbox.activity import ActivityReport
from toolbox.auth.access import Auth
from toolbox.auth.guard import Guard
from toolbox.errors import NotSupported
from toolbox.errors import Unavailable
from toolbox.group import Group
from toolbox.handover.parcel import Parcel
from toolbox.http.listeners import Listeners
from toolbox.logs import make_observers
from toolbox.logs.masking import Mask
from toolbox.observing import Observers
from toolbox.plugins import Registry
from toolbox.plugins.capabilities import Closable
from toolbox.plugins.capabilities import Figure
from toolbox.plugins.capabilities import HandsOver
from toolbox.plugins.capabilities import HasActivity
from toolbox.plugins.capabilities import HasFigures
from toolbox.plugins.making import make_backend
from toolbox.settings import CoreSettings
from toolbox.settings.addresses import all_hosts
from toolbox.sockets.handler import SERVICE_RESTART
from toolbox.sockets.loop import Loop
from toolbox.sockets.registry import SocketRegistry
from toolbox.threads import Pool

log = logging.getLogger("toolbox")


class Context(msgspec.Struct, frozen=True):
    """The core's resources, as each backend receives them beside its settings."""

    group_settings: Any
    """The group's settings: the struct that its ``Group`` named as ``settings``."""
    loop: Loop
    """The I/O loop."""
    pool: Executor
    """Threads for blocking work that belongs to no request."""
    work_dir: Path
    """The directory that relative paths start from."""
    auth: Auth
    """Authentication, for groups that issue credentials or have to remove them."""
    mask: Mask | None = None
    """The mask for secrets in the output of processes; None if ``[log] mask_output`` is not set."""
    stopping: threading.Event = msgspec.field(default_factory=threading.Event)
    """Set when the service starts to stop: endless responses end then."""
    backends: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """The backends of all groups, by the group's name, for a backend that builds on others. It is
    complete when the service is ready; a group that isn't served is not in it.
    """
    listeners: Listeners = msgspec.field(default_factory=Listeners)
    """Further ports of the service, for a backend to open."""
    activity: Activity = msgspec.field(default_factory=Activity)
    """The record of what clients do, for traffic that is no request to an operation."""
    restarted: bool = False
    """True if this worker replaces one that died, whose processes have ended with it."""
    guard: Guard | None = None
    """Protection from foreign web pages, for a group whose protocol asks for it in every mode; None
    outside of a service.
    """
    plugins: PluginManager = msgspec.field(default_factory=lambda: PluginManager("toolbox"))
    """The plugins in use, for a group that adds hooks of its own."""
    parcel: Parcel | None = None
    """The parcel of the worker before this one, in an upgrade; None if there was none. Its
    ``contents`` by the group's name are what the backend's ``hand_over()`` returned.
    """

    def backend_of(self, group: str) -> Any:
        """Return the backend of another group. Raises NotSupported if that is not served."""
        if group not in self.backends:
            raise NotSupported(f"this needs the group {group!r}, which is not served here")
        return self.backends[group]


class Toolbox:
    """One service: settings, plugins and, after :meth:`start`, the running backends."""

    def __init__(
        self, settings: CoreSettings, registry: Registry, auth: Auth, work_dir: Path, mask: Mask
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.auth = auth
        self.guard = Guard(auth, settings.auth, *all_hosts(settings.server))
        self.work_dir = work_dir
        self.mask = mask
        self.backends: dict[str, Any] = {}
        self.loop = Loop()
        self.sockets = SocketRegistry(settings.websocket, self.loop)
        self.pool = Pool(64, "toolbox-pool")
        self.listeners = Listeners()
        self.activity = Activity()
        self.observers = Observers()
        for observer in make_observers(settings.log):
            self.observers.add(observer)
        self.stopping = threading.Event()
        self.interrupted = threading.Event()
        """Set when requests are to end that only wait; :class:`toolbox.request.RequestInfo` asks.
        """
        self.restarted = False
        self._state = "starting"
        self._in_flight = 0
        self._idle = threading.Condition()

    @property
    def state(self) -> str:
        """The state: ``starting``, ``ready``, ``stopping``, or ``failed: `` and the reason."""
        return self._state

    def backend(self, group: str) -> Any:
        """Return the backend of ``group``. Raises Unavailable unless the service is running."""
        try:
            return self.backends[group]
        except KeyError:
            raise Unavailable(f"the service is {self._state}", {"Retry-After": "1"}) from None

    def groups(self) -> Iterator[Group]:
        """Yield the groups that are served."""
        for served in self.registry.served:
            yield served.group

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield each figure of each backend, with the group's name."""
        for group, backend in list(self.backends.items()):
            if isinstance(backend, HasFigures):
                for figure in backend.figures():
                    yield group, figure

    def report_activity(self) -> ActivityReport:
        """Report whether somebody needs the service."""
        backends = list(self.backends.values())
        works = [backend.activity() for backend in backends if isinstance(backend, HasActivity)]
        return self.activity.report(len(self.sockets), self.sockets.traffic(), works)

    def start(self, restarted: bool = False, parcel: Parcel | None = None) -> None:
        """Make the backends and run the start hooks. Called in the worker, before it accepts.

        ``restarted`` and ``parcel`` are those of :class:`Context`. Raises SettingsError if a
        backend is incomplete or can't be made. In a restarted worker, the exception itself: that
        is tried again.
        """
        self.restarted = restarted
        self.loop.start()
        self.pool.start()
        for served in self.registry.served:
            context = Context(
                group_settings=served.group_settings,
                loop=self.loop,
                pool=self.pool,
                work_dir=self.work_dir,
                auth=self.auth,
                mask=self.mask if self.settings.log.mask_output else None,
                stopping=self.stopping,
                backends=self.backends,
                listeners=self.listeners,
                activity=self.activity,
                restarted=restarted,
                guard=self.guard,
                plugins=self.registry.manager,
                parcel=parcel,
            )
            self.backends[served.group.name] = make_backend(served, context)
        for observer in self.registry.hook.toolbox_observer(toolbox=self):
            self.observers.add(observer)
        if self.registry.hook.toolbox_startup.get_hookimpls():
            # A slow start must not look like a dead service: requests get "starting" until it ends.
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
        """Raise Unavailable unless the service is ready."""
        if self._state != "ready":
            raise Unavailable(f"the service is {self._state}", {"Retry-After": "1"})

    def enter(self) -> None:
        """Count a request that starts."""
        with self._idle:
            self._in_flight += 1

    def leave(self) -> None:
        """Count a request that ended."""
        with self._idle:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.notify_all()

    def stop(self, timeout: float) -> None:
        """Stop everything within about ``timeout`` seconds, half of it for requests to finish.

        Sockets are closed with 1001 first. Processes that jobs and hooks leave are killed.
        """
        if self._state == "stopping":
            return
        self._state = "stopping"
        self.stopping.set()
        deadline = time.monotonic() + timeout
        # First, since clients of terminals and logs would otherwise wait until their jobs end.
        self.sockets.close_all(timeout / 4)
        with self._idle:
            self._idle.wait_for(lambda: not self._in_flight, timeout / 2)
        # Hooks before backends: what a hook started may use a backend.
        self._guard("a stop hook", self.registry.hook.toolbox_shutdown, toolbox=self)
        for name, backend in reversed(list(self.backends.items())):
            if isinstance(backend, Closable):
                self._guard(f"closing {name}", backend.close)
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.loop.stop()
        log.info("stopped, %.1f s before the limit", deadline - time.monotonic())

    def formats(self) -> dict[str, int]:
        """Return the format of what is handed over, of each group that hands over."""
        found = {}
        for served in self.registry.served:
            number = getattr(served.backend_class, "handover_format", None)
            if isinstance(number, int):
                found[served.group.name] = number
        return found

    def interrupt(self) -> None:
        """Let requests end that wait for something that goes on after an upgrade."""
        self.interrupted.set()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no request is being served; report whether that came in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._in_flight, timeout)

    def hand_over(self, timeout: float) -> Parcel | None:
        """Stop as :meth:`stop` does, but let go on what the next version can take over.

        WebSockets are closed with 1012. Returns None if the service is stopping already.
        """
        if self._state == "stopping":
            return None
        self._state = "stopping"
        self.stopping.set()
        self.sockets.close_all(timeout, SERVICE_RESTART, "the service is being upgraded")
        self.wait_idle(timeout)
        self._guard("a stop hook", self.registry.hook.toolbox_shutdown, toolbox=self)
        parcel = Parcel()
        for name, backend in reversed(list(self.backends.items())):
            if isinstance(backend, HandsOver):
                parcel.contents[name] = backend.hand_over(parcel)
            elif isinstance(backend, Closable):
                self._guard(f"closing {name}", backend.close)
        return parcel

    def _guard(self, what: str, function: Any, **arguments: Any) -> None:
        try:
            function(**arguments)
        except Exception:
            # The rest must still be stopped.
            log.exception("%s failed", what)

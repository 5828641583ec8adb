"""E2B's control plane on a backend of the group ``fleet``.

That group's modules are imported in functions: it may not be installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from toolbox.errors import Conflict
from toolbox.errors import NotFound
from toolbox.errors import NotSupported
from toolbox.errors import Unavailable
from toolbox.lifecycle import Context
from toolbox.linux.clock import awake
from toolbox_e2b.control.models import NewSandbox
from toolbox_e2b.errors import InvalidArgument

if TYPE_CHECKING:
    from toolbox_fleet.models.sandboxes import Sandbox

START = 300.0
"""Seconds that a sandbox may take to start."""

LOOK = 0.05
"""Seconds between looks at its state."""

MOVING = frozenset(
    {
        "building_snapshot",
        "creating",
        "forking",
        "pausing",
        "pending_build",
        "pulling_snapshot",
        "resizing",
        "restoring",
        "resuming",
        "snapshotting",
        "starting",
        "stopping",
    }
)
"""States that end by themselves."""

RESTING = ("paused", "stopped", "archived")
"""States that are a pause for clients of E2B: the files are kept, at least."""

BASE = "base"
"""The template that clients ask for if their users name none."""

_NOT_HERE = ("network", "mcp", "iam", "volume_mounts")


class Control:
    """Creates sandboxes and rules over them. Raises NotSupported without the group ``fleet``."""

    def __init__(self, context: Context, template: str) -> None:
        self._context = context
        self._template = template

    @property
    def fleet(self) -> Any:
        """The backend of the group ``fleet``."""
        if "fleet" not in self._context.backends:
            raise NotSupported("sandboxes need the group 'fleet', which is not served here")
        return self._context.backends["fleet"]

    def create(self, wanted: NewSandbox, is_disconnected: Callable[[], bool]) -> Sandbox:
        """Create a sandbox, and wait until it has started.

        Raises NotSupported for what the group has no counterpart of, and what the group raises.
        """
        fleet = self.fleet
        from toolbox_fleet.models.sandboxes import CreateSandbox
        from toolbox_fleet.plane import plane_of
        from toolbox_fleet.routes.creating import checked

        # Refused rather than ignored: a sandbox without its wall would look like one with it.
        asked = [name for name in _NOT_HERE if getattr(wanted, name)]
        if wanted.auto_pause or asked:
            what = ", ".join(asked) or "autoPause"
            raise NotSupported(f"sandboxes can't be created here with {what}")
        body = checked(
            CreateSandbox(
                snapshot=self._template if wanted.template == BASE else wanted.template,
                labels=wanted.metadata,
                env=wanted.variables,
                network_block_all=True if wanted.allow_internet_access is False else None,
                # Its end is the timeout's alone, which clients set anew.
                auto_stop_interval=0,
            )
        )
        # Counted as those of the group's own operation are.
        made = plane_of(fleet).counts.create(lambda: fleet.create(body), fleet.sandbox)
        # Before it has started: a client that gives up meanwhile leaves nothing for ever.
        self.set_timeout(made.id, wanted.timeout)
        return self._started(made.id, is_disconnected)

    def _started(self, key: str, is_disconnected: Callable[[], bool]) -> Sandbox:
        sandbox = self.settled(key, is_disconnected)
        if sandbox.state != "started":
            reason = f": {sandbox.error_reason}" if sandbox.error_reason else ""
            raise Unavailable(f"the sandbox could not be started{reason}")
        return sandbox

    def settled(self, key: str, is_disconnected: Callable[[], bool]) -> Sandbox:
        """Wait until the state of a sandbox is none that ends by itself."""
        deadline = awake() + START
        while (sandbox := self.sandbox(key)).state in MOVING:
            if awake() > deadline or is_disconnected() or self._context.stopping.is_set():
                raise Unavailable(f"the sandbox is still {sandbox.state}")
            # The wait is for a program of another process: no event of ours tells its end.
            self._context.stopping.wait(LOOK)
        return sandbox

    def sandbox(self, key: str) -> Sandbox:
        """Return a sandbox. Raises NotFound."""
        sandbox: Sandbox = self.fleet.sandbox(key)
        # The record outlives the sandbox for a while; for a client it is gone at once.
        if sandbox.state in ("destroying", "destroyed"):
            raise NotFound(f"sandbox {key[:64]!r} was not found")
        return sandbox

    def sandboxes(self) -> list[Sandbox]:
        """Return those that run or rest."""
        return [
            sandbox
            for sandbox in self.fleet.sandboxes()
            if state_of(sandbox) and not sandbox.warm_pool_id
        ]

    def token(self, sandbox: Sandbox) -> str:
        """Return the token of a sandbox's service, empty unless it runs."""
        if sandbox.state != "started":
            return ""
        token: str = self.fleet.upstream(sandbox.id).token
        return token

    def delete(self, key: str) -> None:
        """Delete a sandbox. Raises NotFound."""
        self.fleet.delete(self.sandbox(key).id)

    def set_timeout(self, key: str, seconds: int, *, extend: bool = False) -> None:
        """Let a sandbox be deleted in ``seconds``; with ``extend`` not sooner than before."""
        from toolbox_fleet.models.sandboxes import Changes
        from toolbox_fleet.plane import plane_of
        from toolbox_fleet.times import format_time
        from toolbox_fleet.times import parse_time

        end = time.time() + seconds
        sandbox = self.sandbox(key)
        if extend and sandbox.auto_destroy_at and parse_time(sandbox.auto_destroy_at) > end:
            return
        changed = self.fleet.change(sandbox.id, Changes(auto_destroy_at=format_time(end)))
        # The reaper looks at the new end only if it is told of it.
        plane_of(self.fleet).changed(changed)

    def pause(self, key: str, memory: bool | None, is_disconnected: Callable[[], bool]) -> None:
        """Pause a sandbox with its memory, if that is possible, or else with its files alone.

        Raises Conflict if it is paused, NotSupported.
        """
        sandbox = self.sandbox(key)
        if sandbox.state in RESTING:
            raise Conflict(f"sandbox {sandbox.id} is paused already")
        # An ability that not every backend has.
        pause = getattr(self.fleet, "pause", None)
        if memory is not False and pause is not None:
            pause(sandbox.id)
        else:
            self.fleet.stop(sandbox.id, False)
        self.settled(sandbox.id, is_disconnected)

    def resume(self, key: str, seconds: int, is_disconnected: Callable[[], bool]) -> Sandbox:
        """Let a sandbox run, if it doesn't, for ``seconds`` at least."""
        # One that is just being paused can be resumed only after that.
        sandbox = self.settled(key, is_disconnected)
        if sandbox.state in RESTING:
            self.fleet.start(sandbox.id)
            self._started(sandbox.id, is_disconnected)
        # One that runs keeps a later end: its other clients count on it.
        self.set_timeout(sandbox.id, seconds, extend=sandbox.state == "started")
        return self._started(sandbox.id, is_disconnected)

    def metrics(self, key: str, start: float, end: float) -> list[Any]:
        """Return series of records. Raises NotSupported."""
        sandbox = self.sandbox(key)
        metrics = getattr(self.fleet, "metrics", None)
        if metrics is None:
            raise NotSupported("this control plane records no metrics")
        found: list[Any] = metrics(sandbox.id, start, end)
        return found


def state_of(sandbox: Sandbox) -> str:
    """Return ``running``, ``paused``, or nothing for what clients of E2B don't see."""
    if sandbox.state == "started":
        return "running"
    return "paused" if sandbox.state in RESTING else ""


def check_seconds(seconds: int) -> int:
    """Return ``seconds``. Raises InvalidArgument for none."""
    if not seconds:
        raise InvalidArgument("the timeout must be at least a second")
    return seconds

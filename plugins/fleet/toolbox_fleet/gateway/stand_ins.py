"""Listeners in the place of sandboxes that don't run."""

from __future__ import annotations

import logging
import threading

from toolbox.errors import NotSupported
from toolbox.http.listeners import Listeners
from toolbox_fleet.models.events import Event

MOST = 256
"""Stopped sandboxes with a listener at once. Of more, those that have stopped last."""

ENDED = ("stopped", "archived", "error")
"""States without a process that has the port."""

log = logging.getLogger("toolbox")


class StandIns:
    """The ports of sandboxes at which clients were told to call them, while they don't run.

    Such a client keeps calling that port. Here it is told the state of the sandbox, by the
    operations for clients that come through the control plane, and shows its token to nobody
    else who would listen there. *Any thread.*
    """

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._lock = threading.Lock()
        self._told: dict[str, tuple[str, int]] = {}
        self._open: dict[str, int] = {}

    def told(self, sandbox_id: str, host: str, port: int) -> None:
        """Note that a client was told of a sandbox's own port."""
        self._told[sandbox_id] = host, port

    def observe(self, event: Event) -> None:
        """Take the place of a sandbox that has stopped, or leave it to one that starts."""
        if event.kind != "state":
            return
        sandbox_id = event.sandbox.id
        with self._lock:
            if event.new in ENDED:
                self._stand_in(sandbox_id)
            else:
                # Before its service binds the port: that begins after the event was reported.
                self._leave(sandbox_id)
            if event.new == "destroyed":
                self._told.pop(sandbox_id, None)

    def _stand_in(self, sandbox_id: str) -> None:
        address = self._told.get(sandbox_id)
        if address is None or sandbox_id in self._open:
            return
        if len(self._open) >= MOST:
            self._leave(next(iter(self._open)))
        host, port = address
        try:
            self._open[sandbox_id] = self._listeners.open(port, host)
        except (OSError, NotSupported) as error:
            # Clients get a refused connection then, as they do of any service that has ended.
            log.info("no stand-in for sandbox %s: %s", sandbox_id, error)

    def _leave(self, sandbox_id: str) -> None:
        if (port := self._open.pop(sandbox_id, None)) is not None:
            self._listeners.close(port)

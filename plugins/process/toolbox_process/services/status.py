"""The state of a service, and those who wait for a change of it or follow its output."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from datetime import datetime

from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox_process.engine.followers import FollowerLimit
from toolbox_process.engine.waiting import LOOK
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.errors import ClientLeft
from toolbox_process.services.models import State
from toolbox_process.services.restarting import End


class Status:
    """State, the time of its begin, and the last end of the program. *Any thread.*

    ``changed`` is held by whoever changes it together with something else.
    """

    def __init__(self, loop: Loop, max_followers: int) -> None:
        self.state: State = "stopped"
        self.since = datetime.now(UTC)
        self.end = End(None, "")
        self.version = 0
        self.changed = threading.Condition()
        self._loop = loop
        self._followers = FollowerLimit(max_followers)
        self._listeners: list[Callable[[], object]] = []

    def become(self, state: State, end: End) -> None:
        """Change it, and wake who waits or follows."""
        with self.changed:
            self.state, self.end = state, end
            self.since = datetime.now(UTC)
            self.version += 1
            self.changed.notify_all()
        self._loop.call_soon(self.notify)

    def wait(
        self, states: frozenset[State], timeout: float, is_disconnected: IsDisconnected
    ) -> None:
        """Wait until it is one of the states, at most ``timeout`` seconds. Raises ClientLeft."""
        deadline = awake() + timeout
        while True:
            with self.changed:
                left = deadline - awake()
                if self.state in states or left <= 0:
                    return
                # In short steps: nothing else reports that the client has disconnected.
                self.changed.wait(min(LOOK, left))
            if is_disconnected():
                raise ClientLeft("client disconnected")

    def follow(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` on the loop: now, after each output and each change. Raises
        TooManyFollowers.
        """
        self._followers.enter(listener)

        def begin() -> None:
            self._listeners.append(listener)
            listener()

        # At once for a socket, or its end could come before its beginning.
        if self._loop.here:
            begin()
        else:
            self._loop.call_soon(begin)

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`follow`. On the loop."""
        self._followers.leave(listener)
        with suppress(ValueError):
            self._listeners.remove(listener)

    def notify(self) -> None:
        """Call those who follow. On the loop."""
        for listener in list(self._listeners):
            listener()

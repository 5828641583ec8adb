"""How long a gesture goes on, and the waits within it."""

from __future__ import annotations

import time
from collections.abc import Callable

from toolbox_computeruse.errors import GestureCancelled

SLICE = 0.05
"""Seconds between looks at whether a gesture is still wanted."""

Cancelled = Callable[[], bool]


class Pacing:
    """The waits of one gesture, which ``over`` cuts short."""

    def __init__(self, over: Cancelled) -> None:
        self._over = over

    def check(self) -> None:
        """Raises GestureCancelled if nobody wants it any more."""
        if self._over():
            raise GestureCancelled("the gesture was given up: the client or the desktop is gone")

    def wait(self, seconds: float) -> None:
        """Wait. Raises GestureCancelled."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, SLICE))

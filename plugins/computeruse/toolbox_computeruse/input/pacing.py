"""The waits within a gesture, and its cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable

from toolbox_computeruse.errors import GestureCanceled

SLICE = 0.05
"""Seconds between checks for cancellation."""

IsCanceled = Callable[[], bool]


class Pacing:
    """The waits of one gesture, which end early when ``over`` returns true."""

    def __init__(self, over: IsCanceled) -> None:
        self._over = over

    def check(self) -> None:
        """Raise GestureCanceled if the gesture is over."""
        if self._over():
            raise GestureCanceled(
                "the gesture was canceled: it took too long, the client disconnected, or the"
                " desktop was stopped"
            )

    def wait(self, seconds: float) -> None:
        """Wait. Raises GestureCanceled."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, SLICE))

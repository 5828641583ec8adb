"""Requests that are sent again: each is worked on once, and its result kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from toolbox.errors import RequestTimeout
from toolbox.linux.clock import awake

MAX_KEPT = 256
"""Results."""
MAX_BYTES = 32 * 1024 * 1024
"""Bytes of all results."""
LOOK = 0.5
"""Seconds between two looks at the client."""
GRACE = 60.0
"""Seconds that a client that has disconnected has to send its request again."""


class Result(NamedTuple):
    """The result of a request: status and JSON body."""

    status: int
    body: bytes


class _Entry:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: Result | None = None


class Replays:
    """The results of requests by their ids. *Any thread.*"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def results(self) -> dict[str, Result]:
        """Return the results that are kept, the oldest first."""
        with self._lock:
            return {key: each.result for key, each in self._entries.items() if each.result}

    def restore(self, results: dict[str, Result]) -> None:
        """Go on with results, before there are others."""
        for key, result in results.items():
            self.once(key, partial(Result, *result), bool)

    def once(
        self, key: str, work: Callable[[], Result], is_disconnected: Callable[[], bool]
    ) -> Result:
        """Return the result of ``work``, which is called unless it was before for ``key``.

        If that is still at work, wait for it. Raises what ``work`` does, and then forgets it.
        """
        with self._lock:
            entry = self._entries.get(key)
            if mine := entry is None:
                entry = self._entries[key] = _Entry()
        assert entry is not None
        if not mine:
            return self._wait(entry, is_disconnected)
        try:
            entry.result = work()
        finally:
            self._settle(key, entry)
        return entry.result

    def _wait(self, entry: _Entry, is_disconnected: Callable[[], bool]) -> Result:
        while not entry.done.wait(LOOK):
            if is_disconnected():
                raise RequestTimeout("client disconnected; its command goes on")
        if entry.result is None:
            raise RequestTimeout("the first request with this id has failed; use another id")
        return entry.result

    def _settle(self, key: str, entry: _Entry) -> None:
        with self._lock:
            # What has failed here may succeed the next time.
            if entry.result is None:
                del self._entries[key]
            else:
                self._bytes += len(entry.result.body)
                self._entries.move_to_end(key)
            entry.done.set()
            self._make_room()

    def _make_room(self) -> None:
        for key, entry in list(self._entries.items()):
            if len(self._entries) <= MAX_KEPT and self._bytes <= MAX_BYTES:
                return
            # One that is at work is waited for by others.
            if entry.result is not None:
                del self._entries[key]
                self._bytes -= len(entry.result.body)


def patient(is_disconnected: Callable[[], bool]) -> Callable[[], bool]:
    """Return a function that reports a disconnected client only after :data:`GRACE` seconds: what
    was begun for it is the result of the request that it sends again.
    """
    since: list[float] = []

    def is_gone() -> bool:
        if not since and is_disconnected():
            since.append(awake())
        return bool(since) and awake() - since[0] > GRACE

    return is_gone

"""Telling clients which ports are opened and closed.

The kernel tells nobody, so it has to be asked: often while something is going on, once a second
while nothing is, and not at all while nobody wants to know.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator

import msgspec

from toolbox_port.caller import Caller
from toolbox_port.errors import CallerGone
from toolbox_port.errors import NotOpenedInTime
from toolbox_port.listening import Listener
from toolbox_port.listening import owners
from toolbox_port.models import OpenPort
from toolbox_port.models import PortEvent

SHORTEST = 0.05
LONGEST = 1.0
GROWTH = 1.3
"""Seconds between two looks: from the shortest, each longer by this factor, to the longest."""

HEARTBEAT = 15.0
"""Seconds after which a quiet stream says something: proxies cut idle connections."""

Look = Callable[[], list[Listener]]


def describe(listeners: list[Listener]) -> list[OpenPort]:
    """The ports of ``listeners``, ascending, with the processes that have them open."""
    by_port: dict[int, list[Listener]] = {}
    for each in listeners:
        by_port.setdefault(each.port, []).append(each)
    known = owners(each.inode for each in listeners)
    described = []
    for port, group in sorted(by_port.items()):
        found = [known[each.inode] for each in group if each.inode in known]
        owner = min(found, key=lambda each: each.pid, default=None)
        described.append(
            OpenPort(
                port=port,
                addresses=sorted({each.address for each in group}),
                pid=owner.pid if owner else None,
                process=owner.name if owner else "",
            )
        )
    return described


def wait_for(port: int, timeout: float, look: Look, caller: Caller) -> OpenPort:
    """See :meth:`toolbox_port.backend.PortBackend.wait`."""
    deadline = time.monotonic() + timeout
    interval = SHORTEST
    while True:
        found = [each for each in look() if each.port == port]
        if found:
            return describe(found)[0]
        left = deadline - time.monotonic()
        if left <= 0:
            raise NotOpenedInTime(f"nobody listened on port {port} within {timeout:g} seconds")
        caller.wait(min(interval, left))
        interval = min(interval * GROWTH, LONGEST / 4)


class PortStream:
    """The event stream of one client: iterating yields it until the client or the service ends."""

    def __init__(
        self,
        look: Look,
        caller: Caller,
        stopping: threading.Event,
        on_close: Callable[[], object],
    ) -> None:
        self._look = look
        self._caller = caller
        self._stopping = stopping
        self._on_close: Callable[[], object] | None = on_close
        self._open: dict[int, tuple[OpenPort, frozenset[int]]] = {}

    def close(self) -> None:
        """The client is gone."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __iter__(self) -> Iterator[bytes]:
        # Said at once, also if no port is open: the client sees that it is connected.
        yield b": ports\n\n" + b"".join(_encode("listening", each) for each in self._changes()[1])
        interval, spoken = SHORTEST, time.monotonic()
        while not self._stopping.is_set():
            try:
                self._caller.wait(interval)
            except CallerGone:
                return
            closed, opened = self._changes()
            text = [_encode("closed", each) for each in closed]
            text += [_encode("opened", each) for each in opened]
            interval = SHORTEST if text else min(interval * GROWTH, LONGEST)
            if not text and time.monotonic() - spoken >= HEARTBEAT:
                text = [b": still here\n\n"]
            if text:
                spoken = time.monotonic()
                yield b"".join(text)

    def _changes(self) -> tuple[list[OpenPort], list[OpenPort]]:
        """What was closed and what opened since the last look. A port whose sockets are all other
        ones was both.
        """
        now: dict[int, set[int]] = {}
        listeners = self._look()
        for each in listeners:
            now.setdefault(each.port, set()).add(each.inode)
        closed = [
            self._open.pop(port)[0]
            for port, (_, inodes) in list(self._open.items())
            if inodes.isdisjoint(now.get(port, ()))
        ]
        new = [each for each in listeners if each.port not in self._open]
        opened = describe(new) if new else []
        told = {port: each for port, (each, _) in self._open.items()}
        told.update((each.port, each) for each in opened)
        self._open = {port: (told[port], frozenset(inodes)) for port, inodes in now.items()}
        return closed, opened


def _encode(event: str, port: OpenPort) -> bytes:
    told = PortEvent(event=event, **msgspec.structs.asdict(port))  # type: ignore[arg-type]
    return b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(told))

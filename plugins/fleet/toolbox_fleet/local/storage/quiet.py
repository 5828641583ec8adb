"""The files of a sandbox, held still while they are copied."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Iterator

from toolbox.trees.errors import Cancelled
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.service import Services

QUIET = frozenset({"started", "stopped", "paused"})
"""States in which files can be copied."""


@contextlib.contextmanager
def quiet(services: Services, record: Record, was_started: bool) -> Iterator[None]:
    """Suspend a started sandbox in the block. Its lock is the caller's. Raises OSError.

    What programs have in memory is not in the files: they are as after a loss of power.
    """
    if record.running is None or not was_started:
        yield
        return
    identity = record.sandbox.id
    try:
        services.pause(record.running, identity)
        yield
    # Also after a failed or half-done suspension: a client's programs must not stand still.
    finally:
        services.resume(record.running, identity)


def until(canceled: Callable[[], bool]) -> Callable[[], None]:
    """Return a function that raises Cancelled as soon as ``canceled()``."""

    def check() -> None:
        if canceled():
            raise Cancelled("the sandbox is being deleted")

    return check

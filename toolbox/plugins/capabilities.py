"""The optional abilities of a backend, beside its group's Protocol.

A backend needs to inherit nothing: having the method is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from typing import Literal
from typing import Protocol
from typing import runtime_checkable

import msgspec

from toolbox.activity import Work
from toolbox.handover.parcel import Parcel


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number that a backend reports, which becomes the metric ``toolbox_<group>_<name>``."""

    name: str
    """Letters, digits and underscores. Prometheus adds the unit, and ``_total`` to counters."""
    value: float
    help: str
    """One sentence that describes the number."""
    kind: Literal["gauge", "counter"] = "gauge"
    """A counter only grows; it starts again at 0 with the worker process."""
    unit: str = ""
    """A base unit in the plural, such as ``bytes`` or ``seconds``; empty for a plain count."""
    labels: dict[str, str] = {}
    """Figures that share a name need the same label names, and few values of each."""


@runtime_checkable
class Closable(Protocol):
    """A backend that holds something: processes, threads, files."""

    def close(self) -> None:
        """Release it. Called once, when the service stops, in the reverse order of the start."""


@runtime_checkable
class HandsOver(Protocol):
    """A backend that hands what runs to the next version of the service, in an upgrade in place.

    That version's backend finds it in ``Context.parcel``. One without this is closed, as when the
    service stops.
    """

    handover_format: int
    """The version of the contents, of which the next version must read the same."""

    def hand_over(self, parcel: Parcel) -> bytes:
        """Let go of what runs, and return its state; descriptors go into ``parcel``.

        Called instead of ``close()``, when no request is served any more. It ends what it doesn't
        hand over.
        """


@runtime_checkable
class HasPrivatePaths(Protocol):
    """A backend with files that the programs of clients must not read or change."""

    def private_paths(self) -> Iterable[Path]:
        """Return the files and directories. Called for each program that a launcher starts in a
        mount namespace of its own, which hides them.
        """


@runtime_checkable
class HasDetails(Protocol):
    """A backend that describes itself in ``GET /plugins``."""

    def details(self) -> dict[str, str]:
        """Return short texts by name, such as the version of a program it runs."""


@runtime_checkable
class HasIdle(Protocol):
    """A backend that may be enabled and still have nothing to do."""

    @staticmethod
    def idle(settings: Any, group_settings: Any) -> str:
        """Return the reason, for operators; an empty string if it is going to be active.

        Called without an instance, so that ``toolbox plugins`` can show it, too.
        """


@runtime_checkable
class HasCheck(Protocol):
    """A backend that may be unable to work with its settings on this machine."""

    @staticmethod
    def check(settings: Any) -> None:
        """Raise SettingsError if so. Called without an instance: before the service starts, and by
        ``toolbox config --check``.
        """


@runtime_checkable
class HasFigures(Protocol):
    """A backend with numbers for metrics."""

    def figures(self) -> Iterable[Figure]:
        """Return the numbers as they are now. Called for each scrape, so it must be quick."""


@runtime_checkable
class HasActivity(Protocol):
    """A backend that runs things for clients after, or without, a request that waits for them."""

    def activity(self) -> Work:
        """Return what runs now and when something has ended last, for ``GET /x/activity``.

        A service is stopped when nobody needs it: count nothing that only waits for input.
        """

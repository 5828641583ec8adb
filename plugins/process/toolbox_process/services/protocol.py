"""Services, as a backend offers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from toolbox_process.definition import Definition
from toolbox_process.engine.output import Output
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.services.models import ServiceInfo


class Service(Output, Protocol):
    """A program that is kept running. Its output is that of all its runs; it is done when it is
    deleted.
    """

    version: int
    """Grows with each change of its state."""

    def info(self) -> ServiceInfo:
        """Return the service as clients are shown it."""


class Services(Protocol):
    """The services by name. Every method with a name raises ServiceNotFound."""

    def list(self) -> Sequence[Service]:
        """Return all services, by name."""

    def get(self, name: str) -> Service:
        """Return a service."""

    def put(self, name: str, definition: Definition) -> tuple[Service, bool]:
        """Define a service, and start it; return it, and whether it is new.

        The same definition changes nothing, another one restarts it. Raises Conflict for a declared
        one and for too many, NotEnded, OSError if the definition can't be stored: then the old one
        stays.
        """

    def start(self, name: str) -> Service:
        """Start it, unless it runs."""

    def stop(self, name: str) -> Service:
        """End it and everything it has started, until it is started again. Raises NotEnded."""

    def restart(self, name: str) -> Service:
        """Stop and start it. Raises NotEnded."""

    def delete(self, name: str) -> None:
        """Stop and forget it. Raises Conflict for a declared one, NotEnded."""

    def wait(
        self, name: str, ready: bool, timeout: float, is_disconnected: IsDisconnected = never
    ) -> Service:
        """Wait until it is ready, or else stopped, at most ``timeout`` seconds.

        Return sooner when it can't become so by itself. Raises TooManyWaiting, ClientLeft.
        """


class HasServices(Protocol):
    """The part of a backend that the operations of services need."""

    @property
    def services(self) -> Services:
        """The services."""

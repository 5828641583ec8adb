"""Following one kind of objects: a list, then its changes."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Generic
from typing import Protocol
from typing import TypeVar

from toolbox.errors import ToolboxError
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.kinds import Kind
from toolbox_fleet_kubernetes.client.parts import Named

log = logging.getLogger("toolbox")

SHORTEST, LONGEST = 0.2, 30.0
"""Seconds until the next attempt, more each time, and no two replicas at the same moment."""


class HasMeta(Protocol):
    """Any object."""

    @property
    def metadata(self) -> Named: ...


T = TypeVar("T", bound=HasMeta)
T_contra = TypeVar("T_contra", bound=HasMeta, contravariant=True)


class Listener(Protocol[T_contra]):
    """The receiver of a watch's objects, called on its thread."""

    def replace(self, objects: Sequence[T_contra], version: str) -> None:
        """Take note of all objects that there are, in a list of this version."""

    def put(self, object_: T_contra) -> None:
        """Take note of a new or changed object."""

    def remove(self, object_: T_contra) -> None:
        """Take note of the end of an object."""


class Watch(Generic[T]):
    """Tells ``listener`` of the objects of a kind, on a thread of its own.

    A watch that breaks goes on where it was, from the version of the last event or bookmark. Only
    if the server no longer knows that version is everything listed again: at once the first time,
    then with growing pauses.
    """

    def __init__(
        self,
        connection: Connection,
        kind: Kind[T],
        selector: str,
        listener: Listener[T],
        changed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._kind = kind
        self._selector = selector
        self._listener = listener
        self._changed = changed
        self._closed = threading.Event()
        self._version = ""
        self._failures = 0
        self.synced = False
        """True once everything has been listed."""
        self.error: ToolboxError | None = None
        """The error that keeps it from following now."""
        self.lists = 0
        """Number of times that everything was listed."""
        self._thread = threading.Thread(
            target=self._run, name=f"toolbox-{kind.plural}", daemon=True
        )

    @property
    def name(self) -> str:
        """The plural of the kind."""
        return self._kind.plural

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin to end: the connection must be closed, too."""
        self._closed.set()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._list()
                self._follow()
            except Outdated:
                # What was deleted meanwhile is found by the next list only.
                self._version = ""
                self._pause(at_once=True)
            except (ToolboxError, NotThere) as error:
                self._fail(error)
            except Exception:
                # A bug must not end the watch: the cache would be wrong from then on.
                log.exception("the watch of %s failed", self.name)
                self._version = ""
                self._pause()

    def _list(self) -> None:
        if self._version:
            return
        # Later ones are exact: the API server must not tell of a time before what is known here.
        objects, self._version = self._connection.listed(
            self._kind, self._selector, cached=not self.lists
        )
        self.lists += 1
        self._listener.replace(objects, self._version)
        self.synced, self.error = True, None
        self._changed()

    def _follow(self) -> None:
        changes = self._connection.follow(self._kind, self._version, self._selector)
        for happened, object_ in changes:
            self._failures, self.error = 0, None
            self._version = object_.metadata.resourceVersion
            match happened:
                case "ADDED" | "MODIFIED":
                    self._listener.put(object_)
                case "DELETED":
                    self._listener.remove(object_)

    def _fail(self, error: ToolboxError | NotThere) -> None:
        if self._closed.is_set():
            return
        self.error = error if isinstance(error, ToolboxError) else ToolboxError(str(error))
        if not self._failures:
            log.warning("the watch of %s is interrupted: %s", self.name, error)
        self._changed()
        self._pause()

    def _pause(self, at_once: bool = False) -> None:
        self._failures += 1
        if at_once and self._failures == 1:
            return
        seconds = min(LONGEST, SHORTEST * 2 ** min(self._failures, 16))
        self._closed.wait(random.uniform(seconds / 2, seconds))

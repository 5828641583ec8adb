"""Streams, as a backend offers them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class HasStreams(Protocol):
    """The part of a backend that the streams of every service need."""

    @property
    def stopping(self) -> threading.Event:
        """Set when the service stops: streams end then."""

    def enter_stream(self) -> Callable[[], object]:
        """Take a place among the streams; return what gives it back. Raises Exhausted."""

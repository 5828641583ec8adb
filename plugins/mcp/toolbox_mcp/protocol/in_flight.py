"""Requests in progress, for clients of older revisions, which cancel one by a notification."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from werkzeug.datastructures import Headers

from toolbox_mcp.protocol.jsonrpc import Id
from toolbox_mcp.protocol.jsonrpc import is_id

SESSION_HEADER = "Mcp-Session-Id"

Key = tuple[str, Id]


def new_session() -> str:
    """Return an id that distinguishes a client's requests from those of others.

    Nothing is kept for it: a request may name any.
    """
    return uuid.uuid4().hex


class InFlight:
    """The requests in progress that can be canceled."""

    def __init__(self) -> None:
        self._events: dict[Key, threading.Event] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def entered(self, headers: Headers, identifier: Id) -> Iterator[threading.Event]:
        """Yield the event that is set if the request is canceled during the block."""
        event = threading.Event()
        session = headers.get(SESSION_HEADER)
        # Clients count their requests from 0, so without a session the id may be another's.
        if session is None:
            yield event
            return
        key = (session, identifier)
        with self._lock:
            self._events[key] = event
        try:
            yield event
        finally:
            with self._lock:
                # A client that uses an id twice has another request there by now.
                if self._events.get(key) is event:
                    del self._events[key]

    def cancel(self, headers: Headers, params: dict[str, Any]) -> None:
        """Cancel the request that a notification names, if it is in progress."""
        session, identifier = headers.get(SESSION_HEADER), params.get("requestId")
        if session is None or not is_id(identifier):
            return
        with self._lock:
            event = self._events.get((session, identifier))
        if event is not None:
            event.set()

"""Further ports of the service, opened and closed while it serves."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Protocol

from toolbox.errors import NotSupported

BACKLOG = 512
"""Connections that wait to be accepted, of each port."""


class Acceptor(Protocol):
    """The server that accepts the connections: our worker. *Any thread.*"""

    def listen_on(self, listener: socket.socket) -> None:
        """Accept connections of ``listener``, too, from soon on."""

    def leave(self, listener: socket.socket) -> None:
        """Accept none any more, and close it."""


class Listeners:
    """The further ports. They are on the address of the first one. *Any thread.*

    Requests that come by one are served like all others: ``SERVER_PORT`` tells them apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, socket.socket] = {}
        self._acceptor: Acceptor | None = None
        self._waiting: list[Callable[[], None]] = []
        self._family = socket.AF_INET
        self._host = ""
        self._first = 0

    def attach(self, acceptor: Acceptor, first: socket.socket) -> None:
        """Let ``acceptor``, which listens on ``first``, accept the connections."""
        self._family, self._host = first.family, first.getsockname()[0]
        if self._family in (socket.AF_INET, socket.AF_INET6):
            self._first = first.getsockname()[1]
        with self._lock:
            self._acceptor = acceptor
            waiting, self._waiting = self._waiting, []
        for begin in waiting:
            begin()

    def when_attached(self, begin: Callable[[], None]) -> None:
        """Call ``begin`` as soon as ports can be opened, on the server's main thread, or now."""
        with self._lock:
            if self._acceptor is None:
                self._waiting.append(begin)
                return
        begin()

    @property
    def host(self) -> str:
        """The address that all are on; empty before there is one."""
        return self._host

    def has(self, port: int) -> bool:
        """Report whether the service listens on a port."""
        return port in self._open or (port == self._first != 0)

    def open(self, port: int, host: str = "") -> int:
        """Listen on ``port``, 0 for any that is free, of another address if ``host`` is given;
        return its number.

        Raises OSError if it is taken, NotSupported if the WSGI server isn't ours.
        """
        if self._acceptor is None or self._family not in (socket.AF_INET, socket.AF_INET6):
            raise NotSupported("this server can't listen on further ports")
        family = self._family
        if host:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
        address = (host or self._host, port)
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
        number: int = listener.getsockname()[1]
        with self._lock:
            self._open[number] = listener
        self._acceptor.listen_on(listener)
        return number

    def close(self, port: int) -> None:
        """Stop listening on ``port``, which may be taken by another at once. Connections that were
        accepted stay.
        """
        with self._lock:
            listener = self._open.pop(port, None)
        if listener is not None and self._acceptor is not None:
            # The server closes it later, between two events of its own.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            self._acceptor.leave(listener)

"""Listeners that the worker gets while it serves."""

from __future__ import annotations

import selectors
import socket
from typing import Any

from toolbox.http.gunicorn_ import is_accepting


class LateListeners:
    """Adds listeners to those of a :class:`toolbox.serving.worker.Worker`, which closes them all at
    its end.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker  # The module of its class imports this one.

    def listen_on(self, listener: socket.socket) -> None:
        """Accept connections of ``listener``, too. *Any thread.*"""
        listener.setblocking(False)
        # The worker's list and poller are its accept loop's alone.
        self._worker.method_queue.defer(self._add, listener)

    def leave(self, listener: socket.socket) -> None:
        """Accept no connection of ``listener`` any more, and close it. *Any thread.*"""
        self._worker.method_queue.defer(self._remove, listener)

    def _add(self, listener: socket.socket) -> None:
        worker = self._worker
        if not worker.alive:  # The others are closed already.
            listener.close()
            return
        worker.sockets.append(listener)
        # Otherwise it is registered with all others, as soon as there is room for connections.
        if is_accepting(worker):
            worker.poller.register(listener, selectors.EVENT_READ, worker.accept)

    def _remove(self, listener: socket.socket) -> None:
        worker = self._worker
        if listener in worker.sockets:
            worker.sockets.remove(listener)
            if is_accepting(worker):
                worker.poller.unregister(listener)
        listener.close()

"""Accepting connections, also where no file descriptor is left for one."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

TURN = 64
"""Connections accepted before the loop's other events have their turn."""

PAUSE = 0.01
"""Seconds between two attempts to refuse a connection without a descriptor to do it with."""

_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)

log = logging.getLogger("toolbox")


class Acceptor:
    """Accepts connections. ``make_room()`` closes one of those there are, if it can."""

    def __init__(self, make_room: Callable[[], bool]) -> None:
        self._make_room = make_room
        self._spare = _spare_descriptor()

    def accept(self, listener: socket.socket) -> Iterator[tuple[socket.socket, Any, Any]]:
        """Yield connections, their addresses and ours, until none waits or it is another's turn."""
        for _ in range(TURN):
            # Closed by an event of the same round: a preview's port ends while somebody connects.
            if listener.fileno() < 0:
                return
            try:
                connection, address = listener.accept()
                own = _own_address(listener)
            except OSError as error:
                if error.errno in _SHORT:
                    self._refuse(listener, error)
                # EINVAL: it was shut down by a thread, and its removal comes next.
                elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EINVAL):
                    raise
                return
            yield connection, address, own

    def _refuse(self, listener: socket.socket, error: OSError) -> None:
        log.error("a connection was refused: %s", error.strerror)
        if self._make_room():
            return
        # Without a descriptor it can't be accepted, and unaccepted it would wake the loop without
        # end: give the spare one up for a moment.
        if self._spare >= 0:
            os.close(self._spare)
        else:
            time.sleep(PAUSE)  # Another thread was quicker; it will give one back.
        with contextlib.suppress(OSError):
            listener.accept()[0].close()
        self._spare = _spare_descriptor()


def has_waiting(listener: socket.socket) -> bool:
    """Report whether a connection waits to be accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def _own_address(listener: socket.socket) -> Any:
    """Return the address of a listener, as gunicorn wants it."""
    address = listener.getsockname()
    # Of a Unix socket gunicorn would take name and port from the Host header: by the port others
    # tell listeners apart.
    return ("localhost", 0) if listener.family == socket.AF_UNIX else address


def _spare_descriptor() -> int:
    """Return a descriptor to give up when there is no other, or -1 if none is left for it."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1

"""Waiting for a service to be ready: its first response, or its end."""

from __future__ import annotations

import os
import select
import socket

from toolbox.linux.clock import awake
from toolbox.linux.pidfd import open_process

AGAIN = 0.05
"""Seconds until a service that responds but is still starting is asked again."""

_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class NotReady(Exception):
    """The service has ended, or took too long; the text says which."""


def wait_until_ready(pid: int, port: int, timeout: float) -> None:
    """Wait until the service is ready. Raises NotReady.

    It inherits a socket that listens already, so the request waits there and no time is lost
    between two attempts.
    """
    until = awake() + timeout
    try:
        process = open_process(pid)
    except ProcessLookupError:
        raise NotReady("it ended at once") from None
    try:
        while not _is_ready(process, port, until):
            # Its start hooks are running: rare, and short.
            if select.select([process], [], [], AGAIN)[0]:
                raise NotReady("it ended while it started")
    finally:
        os.close(process)


def _is_ready(process: int, port: int, until: float) -> bool:
    with socket.socket() as connection:
        try:
            connection.connect(("127.0.0.1", port))
            connection.sendall(_REQUEST)
        except OSError:
            # Nobody listens any more: its end follows.
            _wait(process, process, until)
            raise NotReady("it ended while it started") from None
        _wait(process, connection.fileno(), until)
        try:
            head = connection.recv(64)
        except OSError:
            return False
    return head.split(b" ")[1:2] == [b"200"]


def _wait(process: int, other: int, until: float) -> None:
    """Wait for the descriptor ``other``. Raises NotReady."""
    poll = select.poll()
    for descriptor in {process, other}:
        poll.register(descriptor, select.POLLIN)
    while (left := until - awake()) > 0:
        # By the second: the limit's clock doesn't run while this service is stopped.
        ready = {descriptor for descriptor, _ in poll.poll(min(left, 1.0) * 1000)}
        if other in ready:
            return
        if process in ready:
            raise NotReady("it ended while it started")
    raise NotReady("it was not ready in time")

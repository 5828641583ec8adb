"""One lasting connection to the X server, used by one thread at a time.

python-xlib is not safe for threads and waits for answers without a limit. So every use holds a
lock, and a timer closes the socket under a server that doesn't answer, which ends the wait. A
connection that was lost is made again at the next use.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import struct
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolbox.loop import Loop
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy

if TYPE_CHECKING:
    from Xlib.display import Display

log = logging.getLogger("toolbox")

_SETUP = struct.pack("<BxHHHHxx", 0x6C, 11, 0, 0, 0)
"""The connection setup request: little-endian, protocol 11.0, no authorization."""

_PEER = struct.Struct("3i")
"""What SO_PEERCRED tells: pid, uid and gid."""


def server_answers(display: str, timeout: float = 1.0) -> bool:
    """Whether an X server answers on ``display`` (``:N``), by letting us in or refusing to."""
    return server_pid(display, timeout) is not None


def server_pid(display: str, timeout: float = 1.0) -> int | None:
    """The pid of the X server that answers on ``display``; None if there is none.

    The kernel says so (SO_PEERCRED, unix(7)): 0 for a process in a PID namespace not seen here.
    """
    number = display.lstrip(":").partition(".")[0]
    path = f"/tmp/.X11-unix/X{number}"
    for address in (path, f"\0{path}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(timeout)
            try:
                sock.connect(address)
                sock.sendall(_SETUP)
                if sock.recv(8):
                    peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
                    pid: int = _PEER.unpack(peer)[0]
                    return pid
            except OSError:
                continue
    return None


class XConnection:
    """A connection to ``display``, made at the first use."""

    def __init__(
        self, display: str, timeout: float, loop: Loop, check: Callable[[int], None]
    ) -> None:
        """``check`` is given the server's pid, and raises if it is not to be used."""
        self.name = display
        self._check = check
        self._timeout = timeout
        self._loop = loop
        self._lock = threading.Lock()
        self._display: Display | None = None
        self.opened = 0
        """How many connections were made: what was read on an earlier one may have changed."""

    @contextlib.contextmanager
    def use(self, wait: float | None = None, limit: float | None = None) -> Iterator[Display]:
        """The connection, for this thread alone.

        ``wait`` seconds for other threads, ``limit`` seconds for everything done with it.
        Raises InputBusy, DisplayUnavailable, and ComputerUseUnavailable without python-xlib.
        """
        wait = self._timeout if wait is None else wait
        if not self._lock.acquire(timeout=wait):
            raise InputBusy(f"the display was busy for {wait:g} s", {"Retry-After": "1"})
        try:
            with self._connected() as display:
                timer = self._loop.call_later(limit or self._timeout, _closer(display))
                try:
                    yield display
                finally:
                    timer.cancel()
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Display]:
        from Xlib.error import ConnectionClosedError

        display = self._open()
        try:
            yield display
        except (ConnectionClosedError, OSError) as error:
            self._drop()
            reason = "went away or did not answer"
            raise DisplayUnavailable(f"the X server on {self.name} {reason}") from error

    def _open(self) -> Display:
        if self._display is not None:
            if not _hung_up(self._display):
                return self._display
            self._drop()
        pid = server_pid(self.name, self._timeout)
        if pid is None:
            raise DisplayUnavailable(
                f"no X server answers on display {self.name}; start the desktop first, "
                "by POST /computeruse/start"
            )
        self._check(pid)
        self._display = _connect(self.name)
        self.opened += 1
        return self._display

    def _drop(self) -> None:
        if self._display is not None:
            _closer(self._display)()
            self._display.display.socket.close()
            self._display = None

    def close(self) -> None:
        """Give the connection up; the next use makes a new one."""
        if self._lock.acquire(timeout=self._timeout):
            try:
                self._drop()
            finally:
                self._lock.release()


def _connect(name: str) -> Display:
    try:
        from Xlib import display as xdisplay
        from Xlib import error
    except ImportError as missing:
        raise ComputerUseUnavailable(f"python-xlib is not installed: {missing}") from None
    try:
        display = xdisplay.Display(name)
    except (error.DisplayError, error.ConnectionClosedError, OSError) as refused:
        raise DisplayUnavailable(f"the X server on {name} refuses us: {refused}") from None
    # The default prints to standard error. What we ask may well be gone by then.
    display.set_error_handler(lambda error, request: log.debug("X error: %s", error))
    return display


def _hung_up(display: Display) -> bool:
    poll = select.poll()
    poll.register(display.display.socket, select.POLLIN | select.POLLRDHUP)
    flags = select.POLLHUP | select.POLLERR | select.POLLNVAL | select.POLLRDHUP
    return any(event & flags for _, event in poll.poll(0))


def _closer(display: Display) -> Callable[[], None]:
    sock = display.display.socket

    def shut() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    return shut

"""A persistent connection to the X server, used by one thread at a time.

python-xlib is not thread-safe and waits for replies without a limit. So every use holds a lock,
and a timer shuts the socket down if the server doesn't respond, which ends the wait. A lost
connection is reopened at the next use.
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

from toolbox.sockets.loop import Loop
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy

if TYPE_CHECKING:
    from Xlib.display import Display

log = logging.getLogger("toolbox")

_SETUP = struct.pack("<BxHHHHxx", 0x6C, 11, 0, 0, 0)
"""The connection setup request: little-endian, protocol 11.0, no authorization."""

_PEER = struct.Struct("3i")
"""The value of SO_PEERCRED (unix(7)): pid, uid and gid."""


def server_responds(display: str, timeout: float = 1.0) -> bool:
    """Report whether an X server responds on ``display`` (``:N``), even by refusing access."""
    return server_pid(display, timeout) is not None


def server_pid(display: str, timeout: float = 1.0) -> int | None:
    """Return the pid of the X server that responds on ``display``; None if none does.

    The kernel reports it (SO_PEERCRED, unix(7)): 0 for a process in an invisible PID namespace.
    """
    number = display.lstrip(":").partition(".")[0]
    # Servers listen on both, or only on the abstract one where they may not write to /tmp.
    path = f"/tmp/.X11-unix/X{number}"
    for address in (path, f"\0{path}"):
        pid = _pid_at(address, timeout)
        if pid is not None:
            return pid
    return None


def _pid_at(address: str, timeout: float) -> int | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(address)
            sock.sendall(_SETUP)
            # Any reply will do: success, or that authorization is required.
            if not sock.recv(8):
                return None
            peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            pid: int = _PEER.unpack(peer)[0]
            return pid
        except OSError:
            return None


class XConnection:
    """A connection to ``display``, opened at the first use."""

    def __init__(
        self, display: str, timeout: float, loop: Loop, check: Callable[[int], None]
    ) -> None:
        """Make a connection; ``check`` gets the server's pid and raises if it must not be used."""
        self.name = display
        self._check = check
        self._timeout = timeout
        self._loop = loop
        self._lock = threading.Lock()
        self._display: Display | None = None
        self.opened = 0
        """Number of connections opened so far: data read on an earlier one may be out of date."""

    @contextlib.contextmanager
    def use(self, wait: float | None = None, limit: float | None = None) -> Iterator[Display]:
        """Provide the connection for this thread alone.

        Waits up to ``wait`` seconds for other threads; the block may take ``limit`` seconds.
        Raises InputBusy, DisplayUnavailable, and ComputerUseUnavailable without python-xlib.
        """
        wait = self._timeout if wait is None else wait
        if not self._lock.acquire(timeout=wait):
            raise InputBusy(f"the display stayed busy for {wait:g} s", {"Retry-After": "1"})
        try:
            with self._connected() as display:
                # The loop's thread never waits for the X server, so its timers are on time.
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
            reason = "disconnected or did not respond"
            raise DisplayUnavailable(f"the X server on {self.name} {reason}") from error

    def _open(self) -> Display:
        if self._display is not None:
            if not _hung_up(self._display):
                return self._display
            self._drop()
        pid = server_pid(self.name, self._timeout)
        if pid is None:
            raise DisplayUnavailable(
                f"no X server responds on display {self.name}; start the desktop first, "
                "with POST /computeruse/start"
            )
        # Checked at each connection: by now another server may listen on the display.
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
        """Close the connection; the next use opens a new one."""
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
        raise DisplayUnavailable(f"the X server on {name} refused access: {refused}") from None
    # The default prints to standard error, though errors are normal: a window may have closed.
    display.set_error_handler(lambda error, request: log.debug("X error: %s", error))
    return display


def _hung_up(display: Display) -> bool:
    poll = select.poll()
    poll.register(display.display.socket, select.POLLIN | select.POLLRDHUP)
    # Not POLLIN: events of the keyboard map may be waiting to be read.
    flags = select.POLLHUP | select.POLLERR | select.POLLNVAL | select.POLLRDHUP
    return any(event & flags for _, event in poll.poll(0))


def _closer(display: Display) -> Callable[[], None]:
    sock = display.display.socket

    # shutdown(2) ends a recv() in progress in another thread, which close(2) doesn't.
    def shut() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    return shut

"""Further listeners of the settings (``[server] also``), which serve what the first one does."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from toolbox.serving.listening import BACKLOG
from toolbox.serving.listening import bind
from toolbox.settings import ServerSettings
from toolbox.settings import SettingsError
from toolbox.settings.addresses import Address
from toolbox.settings.addresses import UnixAddress
from toolbox.settings.addresses import further_addresses
from toolbox.settings.values import Problems


@contextlib.contextmanager
def listening(
    server: ServerSettings, left: list[socket.socket] | None = None
) -> Iterator[list[socket.socket]]:
    """Listen on the further addresses within the block, or on those that an earlier version has
    ``left``; files of Unix sockets are removed after it.

    Raises SettingsError.
    """
    with ExitStack() as opened:
        for sock in left or ():
            opened.callback(sock.close)
            if sock.family == socket.AF_UNIX:
                path = Path(sock.getsockname())
                with contextlib.suppress(OSError):
                    opened.callback(_remove, path, path.stat().st_ino, os.getpid())
        if left is not None:
            yield left
            return
        socks = []
        for address in further_addresses(server):
            # Whoever forks closes its copies; the file is the first process's to remove.
            socks.append(sock := _listen(address))
            opened.callback(sock.close)
            if isinstance(address, UnixAddress):
                path = Path(address.path)
                opened.callback(_remove, path, path.stat().st_ino, os.getpid())
        yield socks


def check_further(server: ServerSettings) -> None:
    """Raise SettingsError if nothing could ever listen on one of the further addresses."""
    # All of them, so that one run shows every mistake.
    with Problems() as problems:
        for address in further_addresses(server):
            with problems.noted():
                _check(address)


def _listen(address: Address) -> socket.socket:
    sock: socket.socket | None = None
    try:
        if isinstance(address, UnixAddress):
            sock = _bind_unix(Path(address.path))
        else:
            sock = bind(address.host, address.port)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _refusal(address, error) from None
    return sock


def _check(address: Address) -> None:
    try:
        if not isinstance(address, UnixAddress):
            bind(address.host, address.port).close()
            return
        _bind_unix(Path(address.path)).close()
        Path(address.path).unlink()
    except OSError as error:
        # In use, perhaps by this service; but no service gives a file of another kind back.
        if error.errno != errno.EADDRINUSE or _is_other_file(address):
            raise _refusal(address, error) from None


def _refusal(address: Address, error: OSError) -> SettingsError:
    return SettingsError(f"server.also: can't listen on {address}: {error.strerror}")


def _bind_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        if _is_left_over(path):
            path.unlink()
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    return sock


def _is_left_over(path: Path) -> bool:
    """Report whether ``path`` is the socket of a process that was killed: nobody listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # Its queue may be full.
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return path.is_socket()  # Other files refuse connections, too.
        except OSError:
            return False
    return False


def _is_other_file(address: Address) -> bool:
    if not isinstance(address, UnixAddress):
        return False
    return not Path(address.path).is_socket()


def _remove(path: Path, inode: int, pid: int) -> None:
    """Remove the file of a Unix socket, unless another has taken its place."""
    with contextlib.suppress(OSError):
        if os.getpid() == pid and path.stat().st_ino == inode:
            path.unlink()

"""The socket that the service listens on: bound here, or inherited."""

from __future__ import annotations

import errno
import os
import socket

from toolbox.settings import SettingsError

BACKLOG = 2048
"""Connections that wait to be accepted (listen(2))."""

_INTERNET = (socket.AF_INET, socket.AF_INET6)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises SettingsError."""
    sock: socket.socket | None = None
    try:
        sock = bind(host, port)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock:
            sock.close()
        raise _no_address(host, port, error) from None
    return sock


def check_address(host: str, port: int) -> None:
    """Raise SettingsError if nothing could ever listen there. An address in use, perhaps by this
    service, is not a mistake in the settings.
    """
    try:
        bind(host, port).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _no_address(host, port, error) from None


def _no_address(host: str, port: int, error: OSError) -> SettingsError:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    hint = "; choose another port with --port" if error.errno == errno.EADDRINUSE else ""
    return SettingsError(f"can't listen on {where}: {error.strerror}{hint}")


def bind(host: str, port: int) -> socket.socket:
    """Return a TCP socket bound to an address. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # Or else a restart waits for old connections in TIME_WAIT (tcp(7)).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means every address, IPv4 ones too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def inherit(descriptor: str) -> socket.socket:
    """Return the listening TCP socket that this process has inherited as ``descriptor``.

    Clients may have connected to it before the service started. Raises SettingsError.
    """
    # int() alone would also accept "-1", " 3" and digits of other scripts; 9 fit into a C int.
    if not (descriptor.isascii() and descriptor.isdecimal() and len(descriptor) < 10):
        raise SettingsError(f"--fd {descriptor}: not a file descriptor")
    try:
        sock = socket.socket(fileno=int(descriptor))
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise SettingsError(f"--fd {descriptor}: {error.strerror}") from None
    if sock.family not in _INTERNET or sock.type != socket.SOCK_STREAM or not is_listening:
        sock.close()
        raise SettingsError(f"--fd {descriptor}: not a listening TCP socket")
    # It was inheritable to get here; nothing that we start may get it.
    sock.set_inheritable(False)
    # systemd's variables name the same socket: gunicorn would serve it twice.
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)
    return sock

"""Addresses to listen on, as ``[server] also`` names them: ``HOST:PORT`` or ``unix:PATH``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from typing import NamedTuple

from toolbox.settings.values import Problems
from toolbox.settings.values import SettingsError

if TYPE_CHECKING:
    from toolbox.settings import ServerSettings

UNIX = "unix:"

MAX_PATH = 107
"""Bytes of the path of a Unix socket (unix(7))."""


class TcpAddress(NamedTuple):
    """A host, by name or number, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(NamedTuple):
    """The path of a Unix socket, relative to the work directory."""

    path: str

    def __str__(self) -> str:
        return f"{UNIX}{self.path}"


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Return the address that ``text`` names. Raises SettingsError."""
    if text.startswith(UNIX):
        return _unix(text)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    # A port without a host would be on all addresses: that must be written. int() alone would
    # also accept "+1" and digits of other scripts.
    is_port = port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536
    if not colon or not bare or not is_port or (":" in bare) != (bare != host):
        raise SettingsError(
            f"server.also: {text!r} is not an address: write HOST:PORT, [IPV6]:PORT or unix:PATH"
        )
    return TcpAddress(bare, int(port))


def _unix(text: str) -> UnixAddress:
    path = text.removeprefix(UNIX)
    if not path or "\0" in path or len(os.fsencode(path)) > MAX_PATH:
        raise SettingsError(
            f"server.also: {text!r}: the path of a Unix socket has 1 to {MAX_PATH} bytes"
        )
    return UnixAddress(path)


def further_addresses(server: ServerSettings) -> list[Address]:
    """Return the addresses to listen on beside the first. Raises SettingsError."""
    found = []
    with Problems() as problems:
        for text in server.also:
            with problems.noted():
                found.append(parse_address(text))
    return found


def all_hosts(server: ServerSettings) -> list[str]:
    """Return the hosts that the service listens on, the first one's first. Raises SettingsError."""
    further = (one for one in further_addresses(server) if isinstance(one, TcpAddress))
    return [server.host, *(address.host for address in further)]

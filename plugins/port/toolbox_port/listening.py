"""The listening TCP sockets of this network namespace, from the kernel's tables (proc(5))."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path

import msgspec

_TABLES = ((Path("/proc/net/tcp"), socket.AF_INET), (Path("/proc/net/tcp6"), socket.AF_INET6))
_LISTEN = "0A"  # TCP_LISTEN of include/net/tcp_states.h


class Listener(msgspec.Struct, frozen=True):
    """A listening socket. ``inode`` identifies it and leads to its process."""

    port: int
    address: str
    inode: int


class Owner(msgspec.Struct, frozen=True):
    """A process that has a socket open."""

    pid: int
    name: str


def listeners() -> list[Listener]:
    """Return every listening socket."""
    return [found for table, family in _TABLES for found in _parse(_read(table), family)]


def _read(table: Path) -> str:
    try:
        return table.read_text("ascii")
    except FileNotFoundError:
        return ""  # The kernel has no IPv6.


def _parse(table: str, family: socket.AddressFamily) -> Iterator[Listener]:
    for line in table.splitlines()[1:]:
        # sl local_address rem_address st tx:rx tr:tm->when retrnsmt uid timeout inode ...
        fields = line.split(None, 10)
        if fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            yield Listener(int(port, 16), _address(address, family), int(fields[9]))


def _address(text: str, family: socket.AddressFamily) -> str:
    """Return the address of a table. The kernel prints each 32 bits of it as one number, in the
    machine's byte order.
    """
    words = [int(text[offset : offset + 8], 16) for offset in range(0, len(text), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


def own_sockets() -> frozenset[int]:
    """Return the inodes of the sockets this process has open."""
    return frozenset(_sockets("self"))


def owners(inodes: Iterable[int]) -> dict[int, Owner]:
    """Return the oldest process that has each socket open, as far as it is visible."""
    wanted = set(inodes)
    found: dict[int, Owner] = {}
    # Processes inherit sockets: of several the one that opened it is usually the oldest.
    for pid in sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
        if not wanted:
            break
        for inode in wanted.intersection(_sockets(pid)):
            found[inode] = Owner(pid, _name(pid))
            wanted.discard(inode)
    return found


def _sockets(pid: int | str) -> Iterator[int]:
    """Yield the inodes of a process's sockets: none if it has ended or is another user's."""
    try:
        descriptors = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return
    for descriptor in descriptors:
        try:
            target = os.readlink(descriptor)  # noqa: PTH115  # Maybe a thousand.
        except OSError:
            continue  # Closed since it was listed.
        if target.startswith("socket:["):
            yield int(target[8:-1])


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""

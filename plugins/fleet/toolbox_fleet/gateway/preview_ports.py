"""Ports of this service that lead to ports of sandboxes."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from toolbox.http.listeners import Listeners
from toolbox.settings import SettingsError
from toolbox_fleet.errors import NoCapacity

MOST = 1000
"""Ports that are open at once."""

TRIES = 64
"""Ports that are tried before any other is taken."""

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PreviewPorts:
    """One port for each sandbox and port. *Any thread.*

    ``allowed`` is a range such as ``20000-20999``, or empty for any port. Raises SettingsError.
    """

    def __init__(self, listeners: Listeners, allowed: str) -> None:
        self._listeners = listeners
        self._any = not allowed
        self._range = _any_port() if self._any else _parsed(allowed)
        self._lock = threading.Lock()
        self._targets: dict[int, tuple[str, int] | None] = {}
        """None for a port that was closed: a connection that was kept alive leads nowhere."""
        self._ports: dict[tuple[str, int], int] = {}

    def open(self, sandbox_id: str, port: int) -> int:
        """Return the port for a port of a sandbox, always the same while it is open.

        Raises NoCapacity if all are taken, NotSupported.
        """
        with self._lock:
            if (found := self._ports.get((sandbox_id, port))) is not None:
                return found
            number = self._listen(f"{sandbox_id}:{port}")
            # The port accepts already, and a request finds no target until now: it is refused.
            self._targets[number] = sandbox_id, port
            self._ports[sandbox_id, port] = number
            return number

    def open_another(self, sandbox_id: str, port: int) -> int:
        """Return a new port for a port of a sandbox. Raises as :meth:`open`."""
        with self._lock:
            number = self._listen("")
            self._targets[number] = sandbox_id, port
            return number

    def _listen(self, wanted: str) -> int:
        if sum(target is not None for target in self._targets.values()) >= MOST:
            raise NoCapacity(f"too many preview ports are open (limit {MOST})")
        first, count = self._range.start, len(self._range)
        # By a digest rather than the next one that is free: so it is the same after a restart.
        begin = int.from_bytes(hashlib.sha256(wanted.encode()).digest()[:8]) if wanted else 0
        tries = min(count, TRIES) if self._any else count
        for offset in range(tries if wanted or not self._any else 0):
            try:
                return self._listeners.open(first + (begin + offset) % count)
            except OSError:
                continue  # Taken, perhaps by another program.
        # Outside the range the firewall would stop it.
        if not self._any:
            raise NoCapacity("all ports of [fleet] preview_ports are in use")
        return self._listeners.open(0)

    def is_ours(self, number: int) -> bool:
        """Report whether a port is, or was, for a preview."""
        return number in self._targets

    def target(self, number: int) -> tuple[str, int] | None:
        """Return sandbox and port to which a port leads, or None."""
        return self._targets.get(number)

    def close(self, number: int) -> None:
        """Close a port."""
        with self._lock:
            self._close(number)

    def _close(self, number: int) -> None:
        if (target := self._targets.get(number)) is None:
            return
        # Not removed: connections that are kept alive must not become the service's own.
        self._targets[number] = None
        if self._ports.get(target) == number:
            del self._ports[target]
        self._listeners.close(number)

    def forget(self, sandbox_id: str) -> None:
        """Close the ports of a sandbox."""
        with self._lock:
            for number, target in list(self._targets.items()):
                if target is not None and target[0] == sandbox_id:
                    self._close(number)


def _parsed(text: str) -> range:
    low, high = map(int, text.split("-"))
    if not 0 < low <= high < 65536:
        raise SettingsError("fleet.preview_ports must be a range of ports from 1 to 65535")
    return range(low, high + 1)


def _any_port() -> range:
    """Return the ports that the kernel gives to whoever asks for any."""
    try:
        low, high = map(int, _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        low, high = 32768, 60999  # Linux's default.
    return range(low, high + 1)

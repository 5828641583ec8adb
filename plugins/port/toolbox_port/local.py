"""The backend ``local``: the ports of this machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from toolbox.handoff import TakeOver
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox_port.caller import Caller
from toolbox_port.errors import TooManyFollowers
from toolbox_port.following import PortStream
from toolbox_port.following import wait_for
from toolbox_port.listening import Listener
from toolbox_port.listening import listeners
from toolbox_port.listening import own_sockets
from toolbox_port.models import OpenPort
from toolbox_port.proxying import Proxy

if TYPE_CHECKING:
    from toolbox_port.relayed import Relayed

MAX_FOLLOWERS = 32
"""Clients that follow the ports at once: each takes a thread, and asks the kernel by itself."""


class LocalPorts:
    """See :class:`toolbox_port.backend.PortBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._stopping = context.stopping
        self._followers = threading.BoundedSemaphore(MAX_FOLLOWERS)
        self._proxy = Proxy(context.loop, context.auth)
        # The service listens before its backends are made, and on nothing more later.
        self._own = own_sockets()

    def close(self) -> None:
        self._proxy.close()

    def _others(self) -> list[Listener]:
        return [each for each in listeners() if each.inode not in self._own]

    def ports(self) -> list[int]:
        return sorted({each.port for each in self._others()})

    def in_use(self, port: int) -> bool:
        return any(each.port == port for each in listeners())

    def follow(self, request: RequestInfo) -> PortStream:
        if not self._followers.acquire(blocking=False):
            raise TooManyFollowers(
                f"{MAX_FOLLOWERS} clients follow the ports already", {"Retry-After": "1"}
            )
        caller = Caller(request.environ)
        return PortStream(self._others, caller, self._stopping, self._followers.release)

    def wait(self, port: int, timeout: float, request: RequestInfo) -> OpenPort:
        return wait_for(port, timeout, listeners, Caller(request.environ))

    def forward(self, port: str, request: RequestInfo, body: Body, head: str) -> Relayed:
        return self._proxy.forward(port, request, body, head)

    def tunnel(self, port: str, request: RequestInfo, head: str) -> TakeOver | Relayed:
        return self._proxy.tunnel(port, request, head)

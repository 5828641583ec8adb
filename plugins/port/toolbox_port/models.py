"""Parameters and results of the port operations."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta


class PortList(msgspec.Struct, frozen=True):
    """The listening TCP ports, ascending."""

    ports: list[int]


class PortUse(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a port."""

    is_in_use: bool


class WaitQuery(msgspec.Struct, frozen=True):
    """The time limit of a wait."""

    timeout: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds to wait, at most an hour.")
    ] = 60.0


class OpenPort(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A listening port and its process."""

    port: int
    addresses: list[str]
    """The addresses it listens on; ``0.0.0.0`` and ``::`` are all."""
    pid: int | None = None
    """The process, the oldest of several; absent if it is not visible, as another user's."""
    process: str = ""
    """Its name: ``comm`` of proc(5)."""


class PortEvent(OpenPort, frozen=True, kw_only=True, omit_defaults=True):
    """A change. ``listening`` is a port that was open at the beginning."""

    event: Literal["listening", "opened", "closed"]

"""What the port operations take and answer."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta


class PortList(msgspec.Struct, frozen=True):
    """The TCP ports that are listened on, ascending."""

    ports: list[int]


class PortUse(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a port is taken."""

    is_in_use: bool


class WaitQuery(msgspec.Struct, frozen=True):
    """How long to wait."""

    timeout: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds to wait, at most an hour.")
    ] = 60.0


class OpenPort(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A port that is listened on, and by whom."""

    port: int
    addresses: list[str]
    """Where; ``0.0.0.0`` and ``::`` are every address."""
    pid: int | None = None
    """The process, the oldest of several; absent if it is not to be seen, as another user's is."""
    process: str = ""
    """Its name, as of proc(5) ``comm``."""


class PortEvent(OpenPort, frozen=True, kw_only=True, omit_defaults=True):
    """A change. ``listening`` tells what was open at the beginning."""

    event: Literal["listening", "opened", "closed"]

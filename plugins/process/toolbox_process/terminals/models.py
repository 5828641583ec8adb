"""Bodies, queries and headers of the terminal operations."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox_process.models import Environment

Cells = Annotated[int, Meta(ge=1, le=1000)]
"""Columns or rows of a terminal."""

COLUMNS = 80
ROWS = 24


class CreatePtyRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A terminal; with ``lazyStart`` its shell starts when the first client connects."""

    id: Annotated[str, Meta(min_length=1)]
    cwd: str | None = None
    envs: Environment | None = None
    cols: Cells | None = None
    rows: Cells | None = None
    lazy_start: bool | None = None


class CreatePtyResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The id of the new terminal."""

    session_id: str


class PtyInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A terminal. ``envs`` are the variables added for it, including ``TERM``."""

    id: str
    cwd: str
    envs: dict[str, str]
    cols: int
    rows: int
    created_at: str
    active: bool
    lazy_start: bool


class PtyList(msgspec.Struct, frozen=True, kw_only=True):
    """The terminals, the oldest first."""

    sessions: list[PtyInfo]


class PtySize(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's size in characters."""

    cols: Cells
    rows: Cells


class CreateConnectQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal to create and connect to."""

    id: str = ""
    cwd: str = ""
    cols: Cells = COLUMNS
    rows: Cells = ROWS


class ConnectQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``offset`` requests the output kept from that byte on; without, only new output is sent."""

    offset: Annotated[int, Meta(ge=0)] | None = None


class PtyHeaders(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "subprotocols": "Sec-WebSocket-Protocol",
        "version": "X-Daytona-SDK-Version",
        "source": "X-Daytona-Source",
        "agent": "User-Agent",
    },
):
    """The headers by which a client's abilities are recognized."""

    subprotocols: list[str] = []
    version: str = ""
    source: str = ""
    agent: str = ""

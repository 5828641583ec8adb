"""The headers that the group takes."""

from __future__ import annotations

import msgspec


class MetricsHeaders(msgspec.Struct, frozen=True, rename={"accept": "Accept"}):
    """The formats that the client accepts."""

    accept: str = ""

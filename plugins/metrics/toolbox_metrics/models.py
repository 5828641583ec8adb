"""What the group takes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The group's options."""

    enabled: Annotated[bool, Meta(description="Count, and answer at /metrics.")] = False


class MetricsHeaders(msgspec.Struct, frozen=True, rename={"accept": "Accept"}):
    """Which format the client understands."""

    accept: str = ""

"""The settings of the group ``metrics``: ``[metrics]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that hold for every backend."""

    enabled: Annotated[bool, Meta(description="Collect metrics and serve them at /metrics.")] = (
        False
    )

"""The settings in ``[git]``, which every backend uses."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class GitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits, in seconds."""

    timeout: Annotated[
        float, Meta(gt=0, description="Maximum seconds for an operation without a remote.")
    ] = 600.0
    network_timeout: Annotated[
        float, Meta(gt=0, description="Maximum seconds for an operation that uses a remote.")
    ] = 3600.0
    stall_timeout: Annotated[
        float, Meta(gt=0, description="Abort after a remote has been silent for this many seconds.")
    ] = 60.0
    lock_timeout: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds to wait for another operation that is changing the same "
            "repository.",
        ),
    ] = 30.0

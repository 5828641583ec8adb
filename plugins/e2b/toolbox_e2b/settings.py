"""Settings of the group ``e2b``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

ENVD_PORT = 49983
"""The port on which clients expect a sandbox's service."""

ENVD_VERSION = "0.9.0"
"""The version of that service whose abilities this one has. Clients look at it before they ask."""


class E2bSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the group as a whole."""

    domain: Annotated[
        str,
        Meta(
            description="The domain below which clients reach sandboxes (49983-<id>.<domain>) and"
            " the control plane (api.<domain>); empty to take it from each request."
        ),
    ] = ""
    template: Annotated[
        str,
        Meta(
            description="The snapshot for the template 'base', which clients ask for by default;"
            " empty for the fleet's own default."
        ),
    ] = ""
    max_streams: Annotated[
        int,
        Meta(ge=1, le=4096, description="Maximum commands and directories followed at once."),
    ] = 256
    max_watchers: Annotated[
        int, Meta(ge=1, le=4096, description="Maximum watchers that are polled for events.")
    ] = 64

"""Settings of the group ``fleet``, whatever the backend."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The table ``[fleet]``."""

    direct: Annotated[
        bool,
        Meta(
            description="Send clients on this machine straight to the port of a sandbox where it "
            "accepts their token; false sends them through the control plane, as others."
        ),
    ] = True
    autostop_running: Annotated[
        bool,
        Meta(
            description="Stop and pause sandboxes without requests even while a command runs in "
            "them; false counts a running command as activity."
        ),
    ] = False
    preview_ports: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]{1,5}-[0-9]{1,5})?$",
            description='Ports of this service for preview URLs, such as "20000-20999", one for '
            "each sandbox and port; empty for any that are free.",
        ),
    ] = ""
    preview_host: Annotated[
        str,
        Meta(
            pattern=r"^((https?://)?[A-Za-z0-9.{}-]+(:[0-9]{1,5})?)?$",
            description="Host of preview URLs instead of ports, such as "
            '"https://{port}-{sandbox}.preview.example": the names must lead to this service.',
        ),
    ] = ""
    signed_ports: Annotated[
        Literal["auto", "always", "never"],
        Meta(
            description="Open a port of its own for each signed preview URL, which then needs no "
            "path: some clients drop it. Whoever reaches that port is let in until the URL "
            'expires. "auto" does so where the service listens on loopback only.'
        ),
    ] = "auto"

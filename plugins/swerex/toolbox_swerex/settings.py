"""Settings of the group ``swerex``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from toolbox.plugins.root_ports import Port
from toolbox.plugins.root_ports import RootPorts
from toolbox.settings.bounds import BELOW_THREADS


class RuntimeSettings(RootPorts, frozen=True, kw_only=True):
    """``[swerex]``."""

    ports: Annotated[
        tuple[Port, ...],
        Meta(
            description="Ports of the service, its own or those of server.also, on which the paths "
            "are there without /swerex, as clients expect them."
        ),
    ] = (8000,)
    max_waiting: Annotated[
        int,
        Meta(
            ge=1,
            description="Maximum requests that wait for commands; must be well below "
            "server.threads, to leave threads for other requests; the default is lowered to fit.",
            extra=BELOW_THREADS,
        ),
    ] = 64
    max_file: Annotated[
        int, Meta(ge=1024, description="Maximum bytes of a file that is read as text.")
    ] = 64 * 1024 * 1024

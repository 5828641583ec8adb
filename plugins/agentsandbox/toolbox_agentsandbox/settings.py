"""Settings of the group ``agentsandbox``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from toolbox.plugins.root_ports import Port
from toolbox.plugins.root_ports import RootPorts


class RuntimeSettings(RootPorts, frozen=True, kw_only=True):
    """``[agentsandbox]``."""

    ports: Annotated[
        tuple[Port, ...],
        Meta(
            description="Ports of the service, its own or those of server.also, on which the paths "
            "are there without /agentsandbox, as clients expect them."
        ),
    ] = (8888,)
    root: Annotated[
        str,
        Meta(
            description="Directory that all paths are in and commands start in; relative to the "
            "work directory, and that itself if empty. Commands can leave it."
        ),
    ] = ""

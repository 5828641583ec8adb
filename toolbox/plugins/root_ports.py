"""Ports on which a group's paths are at the root, without the prefix that they have elsewhere.

:mod:`toolbox.application.mounting` leads them there.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.plugins import ServedGroup

Port = Annotated[int, Meta(ge=1, le=65535)]


class RootPorts(msgspec.Struct, frozen=True, kw_only=True):
    """The base of settings of a group that has such ports; it gives them a default."""

    ports: tuple[Port, ...] = ()


def shared_ports(served: Iterable[ServedGroup]) -> Iterator[str]:
    """Yield a line for each port that two groups want: one of them would never be reached."""
    owners: dict[int, str] = {}
    for each in served:
        if isinstance(each.group_settings, RootPorts):
            section = each.group.section
            for port in each.group_settings.ports:
                if owners.setdefault(port, section) != section:
                    yield (
                        f"{owners[port]}.ports and {section}.ports both name port {port}, which "
                        "can be one group's only: leave it out of one of them"
                    )

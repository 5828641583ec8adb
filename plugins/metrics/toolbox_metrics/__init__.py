"""API group ``metrics``: what the service does, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox
    from toolbox.observing import Observer

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_metrics.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="metrics",
            name="prometheus",
            target="toolbox_metrics.prometheus:PrometheusMetrics",
            summary="counted in this process by prometheus-client",
        )
    ]


@hookimpl
def toolbox_observer(toolbox: Toolbox) -> Observer | None:
    observer: Observer | None = toolbox.backend("metrics").watch(toolbox)
    return observer

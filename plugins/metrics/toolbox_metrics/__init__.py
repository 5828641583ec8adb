"""API group ``metrics``: metrics for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox
    from toolbox.observing import Observer


@hookimpl
def toolbox_group() -> Group:
    from toolbox_metrics.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="metrics",
            name="prometheus",
            target="toolbox_metrics.prometheus:PrometheusMetrics",
            summary="counters in this process, by prometheus-client",
        )
    ]


@hookimpl
def toolbox_observer(toolbox: Toolbox) -> Observer | None:
    observer: Observer | None = toolbox.backend("metrics").watch(toolbox)
    return observer

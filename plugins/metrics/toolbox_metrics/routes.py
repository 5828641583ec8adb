"""The metrics operation."""

from __future__ import annotations

from toolbox.group import Group
from toolbox.response import TextAnswer
from toolbox_metrics.backend import MetricsBackend
from toolbox_metrics.errors import MetricsOff
from toolbox_metrics.models import MetricsHeaders
from toolbox_metrics.models import MetricsSettings

group = Group(
    "metrics",
    backend=MetricsBackend,
    default_backend="prometheus",
    settings=MetricsSettings,
    summary="What the service does, for Prometheus",
)


@group.get("/metrics", content_type="text/plain", errors=(MetricsOff,))
def get_metrics(backend: MetricsBackend, headers: MetricsHeaders) -> TextAnswer:
    """Tell the service's figures, as Prometheus text or OpenMetrics.

    404 unless ``[metrics] enabled`` is set.
    """
    return TextAnswer(*backend.exposition(headers.accept))

"""The metrics operation."""

from __future__ import annotations

from toolbox.group import Group
from toolbox.response import TextResponse
from toolbox_metrics.backend import MetricsBackend
from toolbox_metrics.errors import MetricsOff
from toolbox_metrics.models import MetricsHeaders
from toolbox_metrics.settings import MetricsSettings

group = Group(
    "metrics",
    backend=MetricsBackend,
    default_backend="prometheus",
    settings=MetricsSettings,
    summary="Metrics for Prometheus",
)


@group.get("/metrics", content_type="text/plain", monitoring=True, errors=(MetricsOff,))
def get_metrics(backend: MetricsBackend, headers: MetricsHeaders) -> TextResponse:
    """Return the service's metrics as Prometheus text or OpenMetrics.

    404 unless ``[metrics] enabled`` is set.
    """
    return TextResponse(*backend.exposition(headers.accept))

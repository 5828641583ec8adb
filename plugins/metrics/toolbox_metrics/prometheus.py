"""The backend ``prometheus``: metrics kept in this process by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import TYPE_CHECKING

import toolbox as core
from toolbox.lifecycle import Context
from toolbox.lifecycle import Toolbox
from toolbox.observing import WEBSOCKET
from toolbox.observing import Observer
from toolbox.observing import RequestRecord
from toolbox.plugins import NoSettings
from toolbox.plugins.capabilities import Figure
from toolbox_metrics.errors import MetricsOff
from toolbox_metrics.settings import MetricsSettings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds: from an immediate response to a command that takes minutes."""

NO_OPERATION = "none"


class PrometheusMetrics:
    """See :class:`toolbox_metrics.backend.MetricsBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._enabled: bool = context.group_settings.enabled
        self._registry: CollectorRegistry | None = None

    def watch(self, toolbox: Toolbox) -> Observer | None:
        if not self._enabled:
            return None
        # Imported late: where metrics are disabled, they should cost neither memory nor time.
        from prometheus_client import CollectorRegistry
        from prometheus_client import ProcessCollector

        # Our own registry: the global one may have metrics of other libraries.
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(LiveCollector(toolbox))
        return RequestCollector(registry).observe

    @staticmethod
    def idle(settings: NoSettings, group_settings: MetricsSettings) -> str:
        return "" if group_settings.enabled else "set [metrics] enabled = true to collect metrics"

    def exposition(self, accept: str) -> tuple[bytes, str]:
        if self._registry is None:
            raise MetricsOff("metrics are disabled; set [metrics] enabled = true")
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class RequestCollector:
    """The counters, which observe each finished request and each closed WebSocket."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter
        from prometheus_client import Histogram

        self._requests = Counter(
            "toolbox_requests",
            "Finished requests.",
            ("operation", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "toolbox_request_seconds",
            "Seconds from the request head to the last byte of the response.",
            ("operation",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._websockets = Counter(
            "toolbox_websockets",
            "Closed WebSockets, by close code.",
            ("operation", "code"),
            registry=registry,
        )
        self._received = Counter(
            "toolbox_received_bytes",
            "Bytes received in request bodies and over WebSockets.",
            ("operation",),
            registry=registry,
        )
        self._sent = Counter(
            "toolbox_sent_bytes",
            "Bytes sent in response bodies and over WebSockets.",
            ("operation",),
            registry=registry,
        )

    def observe(self, ended: RequestRecord) -> None:
        """Count one record. An :data:`toolbox.observing.Observer`."""
        # Never the path: a client could create as many time series as it likes.
        operation = ended.operation or NO_OPERATION
        if ended.method == WEBSOCKET:
            self._websockets.labels(operation, str(ended.close_code)).inc()
        else:
            self._requests.labels(operation, str(ended.status)).inc()
            self._seconds.labels(operation).observe(ended.seconds)
        if ended.received:
            self._received.labels(operation).inc(ended.received)
        if ended.sent:
            self._sent.labels(operation).inc(ended.sent)


class LiveCollector:
    """A collector of prometheus-client for what is read at each scrape."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    def describe(self) -> list[Metric]:
        """Return nothing: the names depend on the groups in use."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the service, and the figures of its groups."""
        from prometheus_client.metrics_core import GaugeMetricFamily
        from prometheus_client.metrics_core import InfoMetricFamily

        version = {"version": core.__version__}
        yield InfoMetricFamily("toolbox_build", "The version of the service.", version)
        yield GaugeMetricFamily(
            "toolbox_websockets_open", "Open WebSockets.", len(self._toolbox.sockets)
        )
        yield from _families(self._toolbox.figures())


def _families(figures: Iterable[tuple[str, Figure]]) -> list[Metric]:
    from prometheus_client.metrics_core import CounterMetricFamily
    from prometheus_client.metrics_core import GaugeMetricFamily

    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for group, figure in figures:
        name = f"toolbox_{group}_{figure.name}"
        if name not in families:
            # A text format has each name once, with all of its labels' values below it.
            kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            families[name] = kind(name, figure.help, labels=list(figure.labels), unit=figure.unit)
        families[name].add_metric(list(figure.labels.values()), figure.value)
    return list(families.values())

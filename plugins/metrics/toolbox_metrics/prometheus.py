"""The backend ``prometheus``: counts kept in this process by prometheus-client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import toolbox as core
from toolbox.lifecycle import Context
from toolbox.lifecycle import Toolbox
from toolbox.observing import WEBSOCKET
from toolbox.observing import Ended
from toolbox.observing import Observer
from toolbox.plugins import NoSettings
from toolbox_metrics.errors import MetricsOff

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds: from an answer at once to a command that takes minutes."""

NO_OPERATION = "none"


class PrometheusMetrics:
    """See :class:`toolbox_metrics.backend.MetricsBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._enabled: bool = context.options.enabled
        self._registry: CollectorRegistry | None = None

    def watch(self, toolbox: Toolbox) -> Observer | None:
        if not self._enabled:
            return None
        # Imported late: where metrics are off, it would cost memory and time for nothing.
        from prometheus_client import CollectorRegistry
        from prometheus_client import ProcessCollector

        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(Now(toolbox))
        return Counts(registry).observe

    def idle(self) -> str:
        """Why nothing is counted, if nothing is."""
        return "" if self._enabled else "counts once [metrics] enabled = true is set"

    def exposition(self, accept: str) -> tuple[bytes, str]:
        if self._registry is None:
            raise MetricsOff("nothing is counted; set [metrics] enabled = true")
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class Counts:
    """What adds up: one observation for each request and each WebSocket that has ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter
        from prometheus_client import Histogram

        self._requests = Counter(
            "toolbox_requests",
            "Requests answered.",
            ("operation", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "toolbox_request_seconds",
            "Seconds from the head of the request to the last byte of the answer.",
            ("operation",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._websockets = Counter(
            "toolbox_websockets",
            "WebSockets that have ended, by close code.",
            ("operation", "code"),
            registry=registry,
        )
        self._received = Counter(
            "toolbox_received_bytes",
            "Bytes of request bodies and from WebSockets.",
            ("operation",),
            registry=registry,
        )
        self._sent = Counter(
            "toolbox_sent_bytes",
            "Bytes of bodies of answers and to WebSockets.",
            ("operation",),
            registry=registry,
        )

    def observe(self, ended: Ended) -> None:
        """Count one. An :data:`toolbox.observing.Observer`."""
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


class Now:
    """What is so right now, looked up when it is asked for: a collector of prometheus-client."""

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    def describe(self) -> list[Metric]:
        """Nothing in advance: the names depend on the groups in use."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures of the service, and those its groups have."""
        from prometheus_client.metrics_core import GaugeMetricFamily
        from prometheus_client.metrics_core import InfoMetricFamily

        version = {"version": core.__version__}
        yield InfoMetricFamily("toolbox_build", "The version of the service.", version)
        yield GaugeMetricFamily(
            "toolbox_websockets_open", "WebSockets open now.", len(self._toolbox.sockets)
        )
        for group, figure, value in self._toolbox.figures():
            yield GaugeMetricFamily(
                f"toolbox_{group}_{figure}", f"What the group {group} has now.", value
            )

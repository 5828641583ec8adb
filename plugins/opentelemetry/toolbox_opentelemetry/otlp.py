"""The backend ``otlp``: spans made and sent by OpenTelemetry's SDK.

Names and attributes follow OpenTelemetry's semantic conventions for HTTP servers.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import toolbox as core
from toolbox.application import core_routes as status
from toolbox.lifecycle import Context
from toolbox.lifecycle import Toolbox
from toolbox.logs.masking import Mask
from toolbox.observing import WEBSOCKET
from toolbox.observing import Observer
from toolbox.observing import RequestRecord
from toolbox.plugins import NoSettings
from toolbox_opentelemetry.settings import TracesSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE_NAME = "sandbox-toolbox"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH = 3.0
"""Seconds to send what is left at shutdown, which an unreachable collector must not delay."""

NANOSECONDS = 1_000_000_000


class OtlpTraces:
    """See :class:`toolbox_opentelemetry.backend.TracesBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._endpoint: str = context.group_settings.endpoint
        self._provider: TracerProvider | None = None

    def watch(self, toolbox: Toolbox) -> Observer | None:
        if _why_idle(self._endpoint):
            return None
        self._provider = make_provider(self._endpoint)
        return Spans(self._provider, routes(toolbox), toolbox.mask).observe

    @staticmethod
    def idle(settings: NoSettings, group_settings: TracesSettings) -> str:
        return _why_idle(group_settings.endpoint)

    def close(self) -> None:
        if self._provider is None:
            return
        # The SDK's shutdown has no time limit of its own that covers an export under way.
        flushing = threading.Thread(
            target=self._provider.shutdown, name="toolbox-traces", daemon=True
        )
        flushing.start()
        flushing.join(FLUSH)


def _why_idle(endpoint: str) -> str:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return "unset OTEL_SDK_DISABLED to send spans"
    if endpoint or any(os.environ.get(name) for name in ENDPOINTS):
        return ""
    return "set [opentelemetry] endpoint to send spans"


def make_provider(endpoint: str) -> TracerProvider:
    """Return the SDK's provider, whose own thread sends spans in batches.

    The imports are late: protobuf and requests are 14 MB that only their users should pay for.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence over these.
    own = Resource({"service.name": SERVICE_NAME, "service.version": core.__version__})
    detected = Resource.create()
    named = {k: v for k, v in detected.attributes.items() if not str(v).startswith("unknown_")}
    provider = TracerProvider(resource=own.merge(Resource(named)), shutdown_on_exit=False)
    url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
    return provider


def routes(toolbox: Toolbox) -> dict[str, str]:
    """Return the path template of each operation by its name."""
    groups = [status.group, *(served.group for served in toolbox.registry.served)]
    return {
        f"{group.name}.{operation.name}": operation.path
        for group in groups
        for operation in group.operations
    }


class Spans:
    """An observer that makes a span of each finished request and each closed WebSocket."""

    def __init__(self, provider: TracerProvider, routes: dict[str, str], mask: Mask) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer("toolbox", core.__version__)
        self._propagator = TraceContextTextMapPropagator()
        self._routes = routes
        self._mask = mask

    def observe(self, ended: RequestRecord) -> None:
        """Make and queue one span. An :data:`toolbox.observing.Observer`."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace import StatusCode

        # The record has a duration only, measured by the monotonic clock.
        end = time.time_ns()
        route = self._routes.get(ended.operation, "")
        method = "GET" if ended.method == WEBSOCKET else ended.method
        parent = self._propagator.extract({"traceparent": ended.traceparent})
        span = self._tracer.start_span(
            f"{method} {route}".rstrip(),
            context=parent,
            kind=SpanKind.SERVER,
            attributes=_attributes(ended, method, route, self._mask),
            start_time=end - int(ended.seconds * NANOSECONDS),
        )
        if ended.status >= 500 or not ended.complete:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def _attributes(ended: RequestRecord, method: str, route: str, mask: Mask) -> dict[str, str | int]:
    found: dict[str, str | int | None] = {
        "http.request.method": method,
        "http.route": route,
        # An application behind the proxy may have secrets in its paths.
        "url.path": "" if ":path}" in route else mask(ended.path),
        "url.scheme": "http",
        "http.response.status_code": ended.status,
        "http.request.body.size": ended.received,
        "http.response.body.size": ended.sent,
        "client.address": ended.client,
        "user_agent.original": ended.agent,
        "error.type": ended.error if ended.status >= 500 else "",
        "toolbox.operation": ended.operation,
        "toolbox.request_id": ended.request_id,
        "toolbox.websocket.close_code": ended.close_code,
    }
    return {name: value for name, value in found.items() if value not in ("", None)}

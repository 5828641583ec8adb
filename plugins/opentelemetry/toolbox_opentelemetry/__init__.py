"""API group ``opentelemetry``: a span for each request and each WebSocket.

It has no operations. OpenTelemetry's own instrumentation of WSGI and Flask does not fit: it wraps
each response in a generator, so the kernel no longer sends files; it takes a connection that
becomes a WebSocket for a failure; and it records queries, which hold tokens. So spans are made of
the core's records of finished requests. The SDK and the exporter are the standard ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec
from toolbox_opentelemetry.backend import TracesBackend
from toolbox_opentelemetry.settings import TracesSettings

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox
    from toolbox.observing import Observer


@hookimpl
def toolbox_group() -> Group:
    return Group(
        "opentelemetry",
        backend=TracesBackend,
        default_backend="otlp",
        settings=TracesSettings,
        summary="A span for each request and each WebSocket",
    )


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="opentelemetry",
            name="otlp",
            target="toolbox_opentelemetry.otlp:OtlpTraces",
            summary="OTLP/HTTP export, by OpenTelemetry's SDK",
        )
    ]


@hookimpl
def toolbox_observer(toolbox: Toolbox) -> Observer | None:
    observer: Observer | None = toolbox.backend("opentelemetry").watch(toolbox)
    return observer

"""API group ``opentelemetry``: a span for each request and each WebSocket.

It has no operations. OpenTelemetry's own instrumentation of WSGI and Flask does not serve here: it
puts a generator around each answer, so that files are no longer sent by the kernel, takes a
connection that becomes a WebSocket for a failure, and records queries, which hold tokens. So spans
are made of what the core tells when something has ended; SDK and exporter are the standard ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend
from toolbox_opentelemetry.backend import TracesBackend
from toolbox_opentelemetry.models import TracesSettings

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox
    from toolbox.observing import Observer

__version__ = "0.1.0"


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
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="opentelemetry",
            name="otlp",
            target="toolbox_opentelemetry.otlp:OtlpTraces",
            summary="sent over OTLP/HTTP by OpenTelemetry's SDK",
        )
    ]


@hookimpl
def toolbox_observer(toolbox: Toolbox) -> Observer | None:
    observer: Observer | None = toolbox.backend("opentelemetry").watch(toolbox)
    return observer

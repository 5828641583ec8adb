"""The settings of the group ``opentelemetry``: ``[opentelemetry]``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class TracesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that hold for every backend; the rest are OpenTelemetry's variables ``OTEL_...``."""

    endpoint: Annotated[
        str,
        Meta(
            pattern=r"^(https?://.+)?$",
            description="OTLP/HTTP endpoint for spans, such as http://collector:4318; if empty, "
            "OTEL_EXPORTER_OTLP_ENDPOINT. Without either, tracing is disabled.",
        ),
    ] = ""
